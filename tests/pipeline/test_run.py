"""Whole runs with the real command: what a run leaves, what it repeats, what it survives, what it refuses."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Command

PEOPLE = ["Wren", "Harrow", "Bet", "Dan", "Abel", "Quill"]
THINGS = ["a lamp", "a bell", "a boat", "a kettle", "a gull", "a net"]
PLACES = ["on the slip", "by the wall", "in the loft", "at the ness", "under the quay", "in the bay"]

QUICK = "num_epochs = 2\nbatch_tokens = 256\ncontext_length = 64\nnum_validations = 2\n"


def make_stories(path: Path, num_stories: int = 24, seed: int = 0) -> Path:
    draw = random.Random(seed)
    lines = []
    for number in range(num_stories):
        who, what, where = draw.choice(PEOPLE), draw.choice(THINGS), draw.choice(PLACES)
        body = [
            f"{who} found {what} {where} on the morning of day {number}, and nobody knew whose it was.",
            f"“Whose is it?” said {draw.choice(PEOPLE)}. “{draw.choice(THINGS)} does not walk,” said {who}.",
            f"So {who} carried it {draw.choice(PLACES)}, past {draw.choice(THINGS)} and {draw.choice(THINGS)}, {number} times.",
            f"In the end {draw.choice(PEOPLE)} wept, and laughed {number + 2} times, and the tide came in, as it does.",
        ]
        if number % 5 == 0:
            body.append("***")
            body.append("EDIT: Thanks for the gold, kind stranger! More at r/SkerrowTales")
        lines.append("<sos> " + " <nl> ".join(body) + " <eos>\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def work(tmp_path: Path, tiny_gpt2_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands are typed, with stories, a recipe that is quick, and a base model that is small."""
    monkeypatch.chdir(tmp_path)
    make_stories(tmp_path / "stories.txt")
    shutil.copytree(tiny_gpt2_dir, tmp_path / "small")
    (tmp_path / "quick.toml").write_text(QUICK)
    return tmp_path


RUN = ("run", "stories.txt", "--recipe", "quick.toml", "--base", "small", "--out", "mine")

RESULTS = ["corpus/manifest.json", "corpus/ledger.jsonl", "model/model.safetensors", "samples.jsonl"]


def results(folder: Path) -> dict[str, bytes]:
    """The files that must come out the same, byte for byte, whatever happened on the way."""
    found = {name: (folder / name).read_bytes() for name in RESULTS}
    metrics = json.loads((folder / "metrics.json").read_text())
    for model in metrics["models"]:
        if model["training"]:
            del model["training"]["seconds"]
    return {**found, "metrics": json.dumps(metrics, sort_keys=True).encode()}


def test_a_run_goes_the_whole_way(work: Path, fabula: Command):
    done = subprocess.run(
        [sys.executable, "-m", "fabula", *RUN],
        capture_output=True, text=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = work / "mine"
    for name in ("corpus", "model", "log.jsonl", "metrics.json", "samples.jsonl", "report.html", "run.json"):
        assert (folder / name).exists(), name
        assert not list(folder.rglob("*.partial"))
    assert "mine/report.html" in done.stdout
    record = json.loads((folder / "run.json").read_text())
    assert record["plan"] is None  # a run that leaves the same files each time records no measurements
    assert "run: about " in done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "fabula write" in line]
    pasted = subprocess.run(
        f"{line} --max-new-tokens 5", shell=True, capture_output=True, text=True, check=False
    )
    assert (pasted.returncode, pasted.stdout[:5]) == (0, "Once ")

    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert any("train_loss" in row for row in rows)
    assert any("val_loss" in row for row in rows)
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert {"prompt", "text", "settings", "seed", "finish_reason"} <= set(samples[0])
    ledger = (folder / "corpus" / "ledger.jsonl").read_text()
    assert "kind stranger" in ledger
    report = (folder / "report.html").read_text()
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert "<svg" in report or "data:image/png" in report

    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    assert model.config.eos_token_id is not None
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    text = "“Wren” — and\nthe tide"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    written = pipeline("text-generation", model=str(folder / "model"))("Wren found", max_new_tokens=5)
    assert written[0]["generated_text"].startswith("Wren found")

    before = results(folder)
    stamp = (folder / "model" / "model.safetensors").stat().st_mtime_ns
    again = fabula(*RUN)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("This run was finished before")
    assert (folder / "model" / "model.safetensors").stat().st_mtime_ns == stamp
    assert results(folder) == before

    make_stories(work / "stories.txt", num_stories=25)
    changed = fabula(*RUN)
    assert changed.returncode == 0, changed.stderr
    assert results(folder)["corpus/manifest.json"] != before["corpus/manifest.json"]
    assert results(folder)["model/model.safetensors"] != before["model/model.safetensors"]

    stamp = (folder / "model" / "model.safetensors").stat().st_mtime_ns
    other = fabula(*RUN, "--seed", "1")
    assert other.returncode == 2
    assert "another --seed" in other.stderr
    assert "--continue" in other.stderr
    assert (folder / "model" / "model.safetensors").stat().st_mtime_ns == stamp


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_several_processes_share_the_training_of_a_run(work: Path):
    (work / "quick.toml").write_text(f'{QUICK}sharding = "full"\n')
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, "-m", "fabula", *RUN, "--max-minutes", "0.5"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Done in ") == 1
    assert (work / "mine" / "report.html").is_file()
    counts = json.loads((work / "mine" / "model" / "manifest.json").read_text())["counts"]
    assert counts["val_loss"] <= counts["base_val_loss"]


def test_ctrl_c_stops_cleanly_and_the_run_can_be_resumed(work: Path, fabula: Command):
    (work / "quick.toml").write_text(QUICK.replace("num_epochs = 2", "num_epochs = 6"))
    process = subprocess.Popen(
        [sys.executable, "-m", "fabula", "--progress", "json", *RUN],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        row = json.loads(line)
        if row["stage"] == "train" and row["done"] >= 3:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert "run the same command again to continue" in rest
    assert "Traceback" not in rest

    resumed = fabula("--progress", "json", *RUN)
    assert resumed.returncode == 0, resumed.stderr
    steps = [json.loads(line)["done"] for line in resumed.stderr.splitlines() if '"stage": "train"' in line]
    assert min(step for step in steps if step) >= 3


def test_default_folders_are_numbered_and_found_again(work: Path):
    from fabula.pipeline.run import RunArguments, run_folder

    arguments = RunArguments(
        stories="stories.txt", base="tiny", recipe="quick.toml", seed=1, max_minutes=None, format=None, column=None,
        split_at=None, encoding=None,
    )  # fmt: skip
    runs = work / "runs"
    assert run_folder(arguments, runs) == runs / "stories-1"
    for number, seed in ((1, 1), (2, 2)):
        (runs / f"stories-{number}").mkdir(parents=True)
        record = {
            "name": f"stories-{number}",
            "arguments": {**arguments.model_dump(), "seed": seed},
            "versions": {},
        }
        (runs / f"stories-{number}" / "run.json").write_text(json.dumps(record))
    assert run_folder(arguments, runs) == runs / "stories-1"
    assert run_folder(arguments.model_copy(update={"seed": 2}), runs) == runs / "stories-2"
    assert run_folder(arguments.model_copy(update={"seed": 3}), runs) == runs / "stories-3"
    hub = arguments.model_copy(update={"stories": "hub:someone/tales of x"})
    assert run_folder(hub, runs) == runs / "tales-of-x-1"


def test_a_folder_with_something_else_in_it_is_left_alone(work: Path, fabula: Command):
    (work / "mine").mkdir()
    (work / "mine" / "thesis.docx").write_text("years of work")
    refused = fabula(*RUN)
    assert refused.returncode == 2
    assert (
        "mine: this folder has unexpected files (thesis.docx); name another folder with --out"
        in refused.stderr
    )
    assert os.listdir(work / "mine") == ["thesis.docx"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "none.txt"], "none.txt: no such file"),
        (["run", "stories.txt", "--recipe", "defalt"], "did you mean default?"),
        (
            ["run", "stories.txt", "--recipe", "bad.toml"],
            "unknown field 'learning_rte'; did you mean learning_rate?",
        ),
        (["run", "stories.txt", "--recipe", "wild.toml"], "field 'learning_rate' = 7"),
        (["run", "stories.txt", "--base", "gpt2"], "these work offline: tiny"),
        (["run", "stories.txt", "--base", "./nowhere"], "no such folder"),
        (["run", "stories.txt", "--out", "stories.txt"], "this is a file, not a folder"),
        (
            ["run", "stories.txt", "--out", "stories.txt/mine"],
            "stories.txt/mine: this folder cannot be written",
        ),
    ],
)
def test_bad_input_is_one_line(work: Path, fabula: Command, arguments: list[str], message: str):
    (work / "bad.toml").write_text("learning_rte = 1e-4\n")
    (work / "wild.toml").write_text("learning_rate = 7\n")
    out = [] if "--out" in arguments else ["--out", "mine"]
    refused = fabula(*arguments, *out, "--quiet")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the system lets this user write anywhere")
def test_a_folder_that_cannot_be_written_is_named(work: Path, fabula: Command):
    (work / "locked").mkdir(mode=0o500)
    refused = fabula(*RUN[:-1], "locked/mine")
    assert refused.returncode == 2
    assert "locked" in refused.stderr
