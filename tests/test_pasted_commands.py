"""Every command of the documents is run, in a folder that holds what it names, and so is every command that is printed meanwhile.

They run in this process, on one tiny model, with values that make them short. An export to ONNX, a server and the start of a
Space take long and do not depend on how the command was typed; so the export is a stand-in (tests/exporting and
tests/browser/test_static.py make real ones), a server answers once without a loop, and the Space is not started
(tests/publishing/test_publish.py does).
"""

import re
import runpy
import shlex
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.importorskip("onnxruntime", reason="needs the extras export and serve")
pytest.importorskip("ctranslate2", reason="needs the extras export and serve")
pytest.importorskip("xllamacpp", reason="needs the extras export and serve")
pytest.importorskip("starlette", reason="needs the extras export and serve")

from conftest import TINY_STORIES
from hub import TOKEN, Hub
from starlette.testclient import TestClient
from test_docs import LINES

from fabula.cli.app import app, globals_first
from fabula.exporting.onnx_format import FILES
from fabula.install import program
from fabula.models.load import load_model
from fabula.models.records import ModelRecords
from fabula.publishing.card import render_card

QUICK = {"num_epochs": 3, "batch_tokens": 256, "context_length": 64, "num_validations": 2}

ELSEWHERE = {
    "--ray HEAD": "needs a cluster; tests/corpus/test_clean_ray.py starts one",
    "--base smollm2": "fetches a model; tests/models/test_find.py does with a stand-in",
    "sharding=full": "needs several processes; tests/training/test_sharding.py starts them",
    "--repo you": "uploads; tests/publishing/test_publish.py does to a stand-in of the hub",
    "serve ": "below",
    "studio": "below",
}
"""Commands that are not run here, by what they contain, and why."""

SERVERS = [str(line.values[0]) for line in LINES if str(line.values[0]).startswith(("serve", "studio"))]
RUN_HERE = {re.split(r"\s+#", str(line.values[0]))[0] for line in LINES} - set(SERVERS)

NOT_SHOWN = {
    "clean stories.txt --out new.corpus",
    "clean stories.txt --preview",
    "compare runs/a-1 runs/b-1",
    "doctor",
    "doctor stories.txt",
    "doctor stories.txt --base small",
    "doctor stories.txt --base small --recipe default,sharding=full",
    "evaluate runs/stories-1",
    "tune runs/stories-1 --split train --num-settings 1 --num-stories 2 --max-new-tokens 8",
}
"""Commands that the documents describe without a line to paste."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2_dir: Path) -> Iterator[Path]:
    """A folder with all that the documents' commands name: stories, a recipe, base models, runs, a corpus."""
    folder = tmp_path_factory.mktemp("pasted")
    rows = "".join(f"<sos> {story.replace(chr(10), ' <nl> ')} <eos>\n" for story in TINY_STORIES)
    (folder / "stories.txt").write_text(rows, encoding="utf-8")
    for name in ("mine.toml", "decisions.jsonl"):
        lines = (f"{field} = {value}\n" for field, value in QUICK.items())
        (folder / name).write_text("".join(lines) if name == "mine.toml" else "", encoding="utf-8")
    for base in ("small", "gpt2", "BASE"):
        shutil.copytree(tiny_gpt2_dir, folder / base)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        type_in("run stories.txt --base small --recipe mine.toml --out runs/stories-1")
        for run in ("sample-stories-1", "my-stories-1", "mine-1", "a-1", "b-1"):
            shutil.copytree("runs/stories-1", Path("runs") / run)
        shutil.copytree("runs/stories-1/model", "MODEL")
        shutil.copytree("runs/stories-1/corpus", "CORPUS")
        yield folder


def type_in(line: str) -> None:
    """Run a command as the program does, but in this process. An error raises."""
    assert not app(args=globals_first(shlex.split(line)), prog_name="fabula", standalone_mode=False)


def write_onnx(folder: Path, out: Path, quantize: str) -> None:
    """A stand-in for the export to ONNX, which takes long and does not depend on how the command was typed."""
    (out / "onnx").mkdir()
    for name in FILES.values():
        (out / "onnx" / name).write_bytes(b"weights")
    shutil.copyfile(folder / "config.json", out / "config.json")


def predict_onnx(out: Path, contexts: Sequence[Sequence[int]], vocab_size: int) -> NDArray[np.float32]:
    """Logits (N, V) of the model that `write_onnx` did not convert."""
    model = load_model(Path("MODEL"))
    with torch.no_grad():
        rows = [model(torch.tensor([list(context)])).logits[0, -1] for context in contexts]
    return torch.stack(rows).numpy()


def as_run_here(line: str, number: int) -> str:
    """The command from a small base, with a quick recipe, and into a folder of its own."""
    name = line.split()[0]
    if name == "train":
        line = re.sub(r"--out \S+", f"--out model-{number}", line)
    if name in ("train", "run"):
        line = re.sub(r" --base \S+| --recipe default(?!,)", "", line) + " --base small"
        line = line.replace("--max-minutes 10", "--max-minutes 0.1").replace("run --", "run stories.txt --")
        if "--recipe default," in line:
            fields = "".join(f",{field}={value}" for field, value in QUICK.items() if field not in line)
            return re.sub(r"--recipe default\S*", rf"\g<0>{fields}", line)
        return line + (" --recipe mine.toml" if "--recipe" not in line else "")
    return line + {
        "evaluate": " --num-samples 2",
        "publish": " --anyway",
        "write": " --max-new-tokens 4",
    }.get(name, "")


@pytest.mark.parametrize("line", sorted(RUN_HERE | NOT_SHOWN))
def test_a_command_works_as_pasted_and_so_does_what_it_prints(
    line: str,
    place: Path,
    online: Hub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    for part, reason in ELSEWHERE.items():
        if part in line:
            pytest.skip(reason)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("builtins.input", lambda _: "q")
    monkeypatch.setattr("fabula.publishing.static.vendor", lambda folder: None)  # npm's libraries
    monkeypatch.setattr("fabula.publishing.check.start_and_ask", lambda *_: "Once upon a time")
    monkeypatch.setattr("fabula.exporting.onnx_format.write", write_onnx)
    monkeypatch.setattr("fabula.exporting.onnx_format.predict", predict_onnx)
    monkeypatch.setattr("fabula.training.predict.MEASURED_SECONDS", 0.5)
    monkeypatch.setattr("fabula.training.predict.MIN_STEPS", 1)
    number = sorted(RUN_HERE | NOT_SHOWN).index(line)
    typed = [line]
    while typed:
        type_in(as_run_here(typed.pop(), number))
        shown = capsys.readouterr().out
        assert shown
        printed = re.findall(rf"(?m){re.escape(program())} (.+?)$", shown)
        typed += [each for each in printed if "STORIES" not in each and not each.startswith("bases")]


@pytest.mark.parametrize("line", SERVERS)
def test_a_command_that_serves_works_as_pasted(
    line: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On a free port, and without the loop that waits for visitors; tests/serving/test_app.py starts one and stops it."""
    asked = []

    def ask(app: Any, listening: socket.socket, **_: Any) -> None:
        client = TestClient(app, base_url=f"http://127.0.0.1:{listening.getsockname()[1]}")
        asked.append(client.get("/v1/models" if "--api" in line else "/").status_code)

    for module in ("serving", "studio_server"):
        monkeypatch.setattr(f"fabula.{module}.serve.run_server", ask)
    monkeypatch.chdir(place)
    type_in(re.sub(r"--port \d+", "", line) + " --port 0" + " --no-browser" * line.startswith("studio"))
    assert asked == [200]
    assert "http://127.0.0.1:" in capsys.readouterr().out


def test_the_python_of_a_model_card_writes(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    card = render_card(
        ModelRecords.of(place / "MODEL"), licence="mit", corpus_licence="mit", repo="MODEL", space=None
    )
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    code = code.replace("max_new_tokens=200", "max_new_tokens=8")
    monkeypatch.chdir(place)
    Path("card.py").write_text(code, encoding="utf-8")
    runpy.run_path("card.py", run_name="__main__")
    assert capsys.readouterr().out.startswith("Once upon a time,")
