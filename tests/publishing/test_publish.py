"""Publishing: the card, the Space, the licences, and the upload to a fake hub."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("uvicorn", reason="needs the serve extra")
pytest.importorskip("starlette", reason="needs the serve extra")

from hub import READER, TOKEN, Hub, hub
from huggingface_hub import ModelCard, constants
from made_results import (
    corpus_counts,
    estimate,
    evaluation,
    learning_curve,
    model,
    sample,
    trained,
    training_counts,
    writing,
)

from fabula.errors import FabulaError
from fabula.files import write_jsonl
from fabula.models.records import ModelRecords, weights_mark
from fabula.progress import silent
from fabula.publishing.card import hub_name, quoted, render_card
from fabula.publishing.check import check_space
from fabula.publishing.evidence import check_evidence
from fabula.publishing.publish import portable_run, publish
from fabula.publishing.space import pinned, write_wheel
from fabula.publishing.static import publish_static
from fabula.publishing.upload import upload
from fabula.report.facts import Section, describe
from fabula.results import (
    EXPORT,
    CopiedSpan,
    CorpusManifest,
    ExportRecord,
    RunArguments,
    RunRecord,
    TrainingManifest,
    write_samples,
)

LICENCES: Any = {"license": "cc-by-4.0", "corpus_license": "cc0-1.0"}


ARGUMENTS = RunArguments(
    stories="/home/ada/secret/stories.txt",
    base="gpt2",
    recipe="/home/ada/r.toml",
    seed=42,
    max_minutes=None,
    format=None,
    column=None,
    split_at=None,
    encoding=None,
)


@pytest.fixture
def finished_run(tmp_path: Path, tiny_gpt2_dir: Path) -> Path:
    """The folder of a run with all records, such as `fabula run` leaves."""
    run = tmp_path / "my-run"
    shutil.copytree(tiny_gpt2_dir, run / "model")
    (run / "model" / "recipe.toml").write_text("learning_rate = 0.001\n", encoding="utf-8")
    write_jsonl(
        run / "model" / "log.jsonl", [{"step": 0, "seconds": 1.0, "val_loss": 4.0, "bits_per_byte": 2.5}]
    )
    manifest: Any = {"fingerprint": "f" * 16, "config": {}, "versions": {"fabula": "0.1.0"}}
    TrainingManifest(
        stage="train",
        inputs={"corpus": "c" * 16, "base": "b" * 32},
        counts=training_counts(),
        **manifest,
    ).write(run / "model")
    (run / "corpus").mkdir()
    CorpusManifest(stage="clean", inputs={"stories": "s" * 16}, counts=corpus_counts(), **manifest).write(
        run / "corpus"
    )
    (run / "model" / "base").mkdir()
    (run / "model" / "base" / "config.json").write_text("{}", encoding="utf-8")
    evaluation(
        model("base", 2.5),
        trained("tuned", 1.5, estimate(-1.0), writing=writing(copied=0.25, spread=0.125)),
        human=writing(copied=0.0625),
    ).model_copy(update={"learning_curve": learning_curve()}).save(run / "metrics.json")
    span = CopiedSpan(
        start=0,
        end=60,
        story_id="a",
        source="s.txt",
        source_line=1,
        title="",
        source_start=0,
        before="TEXT OF A TRAINING STORY",
        after="MORE OF IT",
    )
    samples = [
        sample(model=name, prompt="The ``` | <b>fox", text=" slept.", spans=[span])
        for name in ("base", "tuned")
    ]
    write_samples(run / "samples.jsonl", samples)
    RunRecord(name="my-run", arguments=ARGUMENTS, command="fabula run /home/ada/secret", versions={}).save(
        run / "run.json"
    )
    return run


def test_the_card_is_what_the_records_say(finished_run: Path):
    records = ModelRecords.of(finished_run / "model")
    text = render_card(
        records, licence="cc-by-4.0", corpus_licence="cc0-1.0", repo="ada/tales", space="ada/write-tales"
    )
    data = ModelCard(text).data.to_dict()
    assert data["license"] == "cc-by-4.0"
    assert data["base_model"] == "openai-community/gpt2"
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "text-generation"
    [model] = yaml.safe_load(text.split("---")[1])["model-index"]
    assert model["name"] == "tales"
    [result] = model["results"]
    assert result["dataset"]["split"] == "validation"
    figures = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert figures["bits_per_byte"] == 1.5
    assert figures["copied_share"] == 0.25
    assert set(figures) == set(data["metrics"])
    for words in (
        "| Stories | 80 for training, 10 held out for evaluation |",
        "| Bits per byte | 1.500 (1.375 to 1.625) |",
        "| Before training | 2.500 (2.375 to 2.625) |",
        "| Training | 1,234 steps, 56,789 tokens |",
        "61 characters",
        "https://huggingface.co/spaces/ada/write-tales",
        "training stories is cc0-1.0",
    ):
        assert words in text
    assert "````text\nThe ``` | <b>fox slept.\n````" in text
    assert "From “The ``` \\| &lt;b>fox”" in text


def test_a_result_that_says_nothing_is_published_only_on_request(finished_run: Path):
    unchanged = trained("tuned", 2.5, estimate(0.0))
    evaluation(model("base", 2.5), unchanged).save(finished_run / "metrics.json")
    for call in (
        lambda: publish(finished_run, dry_run=finished_run.parent / "out", **LICENCES),
        lambda: publish_static(finished_run, finished_run.parent / "site", **LICENCES),
    ):
        with pytest.raises(FabulaError, match=r"my-run: .*learned nothing .*--anyway"):
            call()
    records = ModelRecords.of(finished_run / "model")
    check_evidence(records, anyway=True)
    card = render_card(records, licence="mit", corpus_licence="mit", repo=None, space=None)
    assert "model-index" not in card
    assert "The model learned nothing that helps it predict the 50 held-out stories" in card
    repeated = trained("tuned", 0.119, estimate(-1.0))
    evaluation(model("base", 2.5), repeated, human=writing(copied=0.89)).save(finished_run / "metrics.json")
    with pytest.raises(FabulaError, match="The figures measure memorisation"):
        check_evidence(ModelRecords.of(finished_run / "model"), anyway=False)


def test_the_card_shows_what_exports_lost(finished_run: Path):
    """Only of exports next to the model that were made from exactly these weights."""
    model = finished_run / "model"
    record = ExportRecord(
        weights=weights_mark(model),
        format="gguf",
        quantization="q8_0",
        files={"model.gguf": 12_345},
        text="validation stories of corpus",
        num_places=32,
        kl=0.00125,
        greedy_agreement=0.96875,
        bits_per_byte=2.25,
        bits_per_byte_lost=0.0005,
        share_lost=0.0005,
        max_loss=0.01,
        versions={},
    )
    for name, changes in (
        ("model-gguf", {}),
        ("elsewhere", {"format": "onnx", "quantization": "int8", "bits_per_byte_lost": -0.0005}),
        ("model-ctranslate2", {"format": "ctranslate2", "weights": ["of another model"]}),
        ("model-gguf.partial", {"quantization": "q4_1"}),
    ):
        (finished_run / name).mkdir()
        record.model_copy(update=changes).save(finished_run / name / EXPORT)
    figures = (
        "KL from the original 0.00125 nats per token, the same most likely token at 96.9 %, bits per byte 2.2500 {};"
        " at 32 positions in validation stories of corpus"
    )
    expected = [("GGUF, q8_0", figures.format("+0.0005")), ("ONNX, int8", figures.format("-0.0005"))]
    section = describe(ModelRecords.of(model))[-1]
    assert section == Section(title="In other programs", facts=expected)
    published = publish(finished_run, dry_run=finished_run.parent / "out", **LICENCES).model
    assert published is not None
    assert describe(ModelRecords.of(published))[-1] == section
    card = (published / "README.md").read_text(encoding="utf-8")
    for label, value in expected:
        assert f"| {label} | {value} |" in card


def test_a_card_leaves_out_what_was_not_recorded(tiny_gpt2_dir: Path):
    records = ModelRecords.of(tiny_gpt2_dir)
    assert [section.title for section in describe(records)] == ["The model"]
    text = render_card(records, licence="mit", corpus_licence="mit", repo=None, space=None)
    data = ModelCard(text).data.to_dict()
    assert not {"base_model", "datasets", "metrics", "model-index"} & set(data)
    assert "None" not in text
    assert "Samples" not in text


def test_names_of_bases():
    assert hub_name("gpt2") == "openai-community/gpt2"
    assert hub_name("someone/model") == "someone/model"
    for local in (None, "tiny", "/home/ada/model", "./a/b", "runs/one/model", "a/b/c", "a b/c"):
        assert hub_name(local) is None


def test_quoting():
    assert quoted("a ```` b").startswith("`````text\n")


def test_what_is_published_says_nothing_of_this_machine(finished_run: Path):
    result = publish(finished_run, dry_run=finished_run.parent / "out", **LICENCES)
    assert result.model is not None
    assert result.space is not None
    assert result.sample
    names = {path.relative_to(result.model).as_posix() for path in result.model.rglob("*")}
    assert "base" not in names
    assert {
        "README.md",
        "model.safetensors",
        "metrics.json",
        "samples.jsonl",
        "corpus.json",
        "run.json",
    } <= names
    for path in [*result.model.rglob("*"), *result.space.rglob("*")]:
        if path.is_file() and path.suffix not in (".safetensors", ".whl"):
            content = path.read_text(encoding="utf-8")
            for secret in ("/home/ada", "secret", "TRAINING STORY", "MORE OF IT", str(finished_run.parent)):
                assert secret not in content, path
    # The copy tells the same as the run does.
    assert describe(ModelRecords.of(result.model)) == describe(ModelRecords.of(finished_run / "model"))
    head = yaml.safe_load((result.space / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert (head["sdk"], head["app_port"], head["license"]) == ("docker", 7860, "cc-by-4.0")
    assert len(head["short_description"]) <= 60
    requirements = (result.space / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("torch==") and "+" not in line for line in requirements)
    assert any(line.startswith("uvicorn==") for line in requirements)
    assert not any(line.startswith("pytest") for line in requirements)
    # A second call replaces what the first one wrote, and nothing else is ever replaced.
    publish(finished_run, dry_run=finished_run.parent / "out", **LICENCES)
    (finished_run.parent / "out" / "mine.txt").touch()
    with pytest.raises(FabulaError, match=r"has unexpected files \(mine.txt\)"):
        publish(finished_run, dry_run=finished_run.parent / "out", **LICENCES)


@pytest.mark.parametrize("base", ["/home/ada/bases/mine", "~/mine", "a/b/mine", "./mine", "C:\\models\\mine"])
def test_the_path_of_a_base_is_not_shown(finished_run: Path, base: str):
    run = RunRecord(name="r", arguments=ARGUMENTS.model_copy(update={"base": base}), versions={})
    run.save(finished_run / "run.json")
    sections = {
        section.title: dict(section.facts) for section in describe(ModelRecords.of(finished_run / "model"))
    }
    assert sections["The model"]["Base model"] == "mine"


def test_a_run_without_its_paths():
    arguments = ARGUMENTS.model_copy(update={"stories": "hub:ada/tales", "base": "/models/mine"})
    shown = portable_run(RunRecord(name="r", arguments=arguments, command="/x", versions={}), "mine")
    assert (shown.arguments.stories, shown.arguments.base, shown.arguments.recipe) == (
        "hub:ada/tales",
        "mine",
        "r.toml",
    )
    assert shown.command is None


def test_the_wheel_is_whole_and_the_same_each_time(tmp_path: Path):
    first, second = (write_wheel_in(tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        assert "fabula/serving/page/index.html" in names
        assert "fabula/cli/app.py" in names
        assert not any("__pycache__" in name or name.startswith("fabula/data/") for name in names)
        record = archive.read(next(name for name in names if name.endswith("RECORD"))).decode()
        assert len(record.splitlines()) == len(names)
        assert b"Name: fabula" in archive.read(next(name for name in names if name.endswith("METADATA")))


def write_wheel_in(folder: Path) -> Path:
    folder.mkdir()
    return write_wheel(folder)


def test_pins_are_what_is_installed():
    versions = pinned()
    assert {"torch", "transformers", "starlette", "uvicorn", "h11", "safetensors"} <= set(versions)
    assert "pytest" not in versions
    import starlette

    assert versions["starlette"] == starlette.__version__


def test_a_space_that_does_not_work_is_not_published(tmp_path: Path, tiny_gpt2_dir: Path):
    space = tmp_path / "space"
    space.mkdir()
    write_wheel(space)
    (space / "app.py").write_text("raise SystemExit('no luck today')\n", encoding="utf-8")
    with pytest.raises(FabulaError, match="does not start \\(no luck today\\)"):
        check_space(space)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dry_run": "x"}, "the licence of the model is not stated; state it with --license"),
        (
            {"dry_run": "x", "license": "mit"},
            "the licence of the stories that it was trained on is not stated",
        ),
        (
            {"dry_run": "x", "license": "apache"},
            "the hub knows no licence 'apache'; did you mean apache-2.0?",
        ),
        ({"license": "mit", "corpus_license": "mit"}, "there is nowhere to publish to"),
        (
            {"repo": "tales", "license": "mit", "corpus_license": "mit"},
            "--repo: this is not a name for a repository",
        ),
        ({"space": "a/b c", "license": "mit", "corpus_license": "mit"}, "--space: this is not a name"),
    ],
)
def test_what_publish_refuses(tmp_path: Path, arguments: dict[str, Any], words: str):
    with pytest.raises(FabulaError) as error:
        publish(tmp_path, **arguments)
    assert words in str(error.value)


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch):
    """The fake hub, with this process's client connected to it."""
    with hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


def small_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# x\n", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights" * 1000)
    return folder


def test_a_folder_is_uploaded_as_one_commit(tmp_path: Path, online: Hub):
    folder = small_folder(tmp_path)
    url = upload(folder, "ada/tales", "model", True, silent)
    assert url == f"{online.address}/ada/tales"
    assert online.files["model", "ada/tales"] == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert online.repos["model", "ada/tales"]["visibility"] == "private"
    upload(folder, "ada/tales", "model", True, silent)  # it exists already, and the weights are there
    assert len(online.sent) == 1
    upload(folder, "ada/page", "space", False, silent)
    assert online.repos["space", "ada/page"]["sdk"] == "docker"


@pytest.mark.parametrize(
    ("token", "repo", "status", "words"),
    [
        ("hf_" + "c" * 34, "ada/tales", None, "the hub does not recognise you"),
        (READER, "ada/tales", None, "your token may not write to ada/tales"),
        (TOKEN, "bob/tales", None, "your token may not write to bob/tales"),
        (
            TOKEN,
            "ada/tales",
            503,
            "the hub cannot accept it now (503: Overloaded); run the same command again",
        ),
        (TOKEN, "ada/tales", 429, "the hub cannot accept it now (429"),
    ],
)
def test_refusals_of_the_hub_are_one_line(
    tmp_path: Path,
    online: Hub,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    repo: str,
    status: int | None,
    words: str,
):
    monkeypatch.setenv("HF_TOKEN", token)
    online.refusal = status
    with pytest.raises(FabulaError) as error:
        upload(small_folder(tmp_path), repo, "model", False, silent)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not online.commits


def test_no_hub_at_the_other_end(tmp_path: Path, online: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FabulaError, match=r"the upload was interrupted .* run the same command again"):
        upload(small_folder(tmp_path), "ada/tales", "model", False, silent)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FabulaError, match="HF_HUB_OFFLINE is set"):
        upload(small_folder(tmp_path / "again"), "ada/tales", "model", False, silent)


def test_an_upload_that_is_killed_goes_on_where_it_was(finished_run: Path):
    """The real command, killed while the weights are on their way, and called again."""
    weights = finished_run / "model" / "model.safetensors"
    with hub() as server:
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.address,
            "HF_TOKEN": TOKEN,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "TMPDIR": str(
                finished_run.parent
            ),  # files that the killed process leaves are deleted with the test
        }
        words = [str(finished_run), "--repo", "ada/tales", "--license", "mit", "--corpus-license", "mit"]
        command = [sys.executable, "-m", "fabula", "publish", *words]
        server.hold.set()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert server.held.wait(60)
        assert ("model", "ada/tales") in server.repos
        process.kill()
        process.communicate()
        assert not server.commits
        assert not server.objects
        server.hold.clear()
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"Published: {server.address}/ada/tales"
        oid = hashlib.sha256(weights.read_bytes()).hexdigest()
        assert server.sent.count(oid) == 2  # once interrupted, once complete
        assert server.files["model", "ada/tales"]["model.safetensors"] == weights.read_bytes()
        assert json.loads(server.files["model", "ada/tales"]["run.json"])["name"] == "my-run"
