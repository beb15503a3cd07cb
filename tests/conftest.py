"""Shared fixtures: a tiny tokenizer, a tiny random GPT-2 and a tiny corpus, all made here; nothing is downloaded."""

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from hub import Hub
    from playwright.sync_api import Browser

# CI draws the same examples each time, so that it judges only the change; elsewhere new ones are drawn, and a finding
# becomes a test.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = (
    "1"  # tiny models gain nothing from a second thread, and wait for it on a busy machine
)

PEOPLE = ["Ada", "Old Tom", "the miller", "a fox", "the queen", "Wren"]
THINGS = ["a lamp", "the key", "three coins", "a blue boat", "her hat", "the loaf"]
ACTS = ["found", "lost", "hid", "carried", "sang to", "forgot"]


def tiny_story(number: int, num_sentences: int) -> str:
    """A story of simple sentences, the same for the same number."""
    draw = random.Random(number)
    lines = [
        f"{draw.choice(PEOPLE)} {draw.choice(ACTS)} {draw.choice(THINGS)}." for _ in range(num_sentences)
    ]
    return "\n".join([f"Once upon a time, {number} years ago:", *lines, "That was the end."])


TINY_STORIES = [tiny_story(number, 2 + number % 7) for number in range(40)]


def write_corpus(folder: Path, train: Sequence[str], validation: Sequence[str]) -> Path:
    """A corpus with these stories in these splits, as `fabula.clean` writes one."""
    from fabula.corpus.store import STAGE, CorpusWriter
    from fabula.files import fingerprint
    from fabula.results import CorpusCounts, CorpusManifest
    from fabula.story import Story

    folder.mkdir(parents=True)
    splits = {"train": list(train), "validation": list(validation)}
    with CorpusWriter(folder) as writer:
        for split, texts in splits.items():
            for number, text in enumerate(texts, 1):
                key = fingerprint([split, number, text])
                writer.keep(
                    Story(key, text, "stories.txt", number, cluster=key, split=split), [], len(text.split())
                )
    content = fingerprint(splits)
    num_words = sum(len(text.split()) for texts in splits.values() for text in texts)
    CorpusManifest(
        stage=STAGE,
        fingerprint=content,
        inputs={},
        config={},
        counts=CorpusCounts(
            num_read=len(train) + len(validation),
            num_kept=len(train) + len(validation),
            num_dropped={},
            num_removals=0,
            removals_by_rule={},
            words_by_rule={},
            words_removed=0,
            words_kept=num_words,
            repairs={},
            splits={split: len(texts) for split, texts in splits.items() if texts},
            format="stories of a test",
            rule_set="none",
            rule_set_reason="named by the test",
            shards={shard.name: shard.stat().st_size for shard in (folder / "data").iterdir()},
            content=content,
        ),
        versions={},
    ).write(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the cache in the test's own folder."""
    os.environ["FABULA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_corpus_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 40 short stories, 32 for training."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny", TINY_STORIES[:32], TINY_STORIES[32:])


@pytest.fixture(scope="session")
def tiny_tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE of 512 tokens, trained on the tiny stories."""
    from fabula.tokens.tokenizer import train_tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TINY_STORIES, 512, context_length=64).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_gpt2_dir(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_dir: Path) -> Path:
    """A GPT-2 of 2 layers and 64 positions with random weights, and the tiny tokenizer."""
    from transformers import GPT2Config

    from fabula.models.fresh import fresh_model
    from fabula.tokens.tokenizer import end_of_text_id, load_tokenizer

    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = load_tokenizer(tiny_tokenizer_dir)
    config = GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=64)
    fresh_model(
        config, vocab_size=len(tokenizer), end_of_text=end_of_text_id(tokenizer), seed=0
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Ended:
    """The exit code of a command, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


@pytest.fixture
def fabula(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line, called with its words. It runs in this process: another one would load its libraries for seconds."""
    from fabula.cli.app import main
    from fabula.stopping import STOP_SIGNALS

    def run(*words: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["fabula", *map(str, words)])
        handlers = [(number, signal.getsignal(number)) for number in STOP_SIGNALS]
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        for number, handler in handlers:
            signal.signal(number, handler)
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A headless Chromium: from FABULA_CHROMIUM, from the system, or from `playwright install chromium`."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    installed = os.environ.get("FABULA_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=installed, args=flags)
        except sync_api.Error as error:
            pytest.skip(f"needs Chromium: {str(error).splitlines()[0]}")
        sync_api.expect.set_options(timeout=60_000)  # a busy machine may take long
        yield chromium
        chromium.close()


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Hub]":
    """The stand-in of the hub, for this process and for those that it starts, without a token."""
    from hub import hub
    from huggingface_hub import constants

    with hub() as server:
        for name, value in (
            ("HF_ENDPOINT", server.address),
            ("HF_HUB_OFFLINE", "0"),
            ("HF_HUB_DISABLE_XET", "1"),
        ):
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server
