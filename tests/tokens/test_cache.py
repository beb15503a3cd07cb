"""The cache of tokenised stories."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import gappy_tokenizer

from fabula.progress import Progress
from fabula.tokens import cache
from fabula.tokens.cache import tokenise
from fabula.tokens.tokenizer import encode, load_tokenizer

TEXTS = ["Once upon a time\nthere was a miller.", "“Nein”, sagte der Fuchs. 狐狸 🦊"]


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_dir: Path):
    return load_tokenizer(tiny_tokenizer_dir)


def test_stories_are_tokenised_once(tokenizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FABULA_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "BATCH_CHARACTERS", 10)
    asked = []

    def texts():
        asked.append(1)
        return iter(TEXTS)

    for _ in range(2):
        stories = tokenise("key", texts, tokenizer, start=7, end=8)
        assert stories.num_stories == 2
        for i, ids in enumerate(encode(tokenizer, TEXTS)):
            story = stories.tokens[stories.offsets[i] : stories.offsets[i + 1]]
            assert story.tolist() == [7, *ids.tolist(), 8]
        assert isinstance(stories.tokens, np.memmap)
        assert stories.tokens.dtype == np.uint16
    assert len(asked) == 1


def test_a_killed_tokenising_is_done_again(tokenizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FABULA_CACHE", str(tmp_path))

    def dies():
        yield TEXTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenise("key", dies, tokenizer, start=None, end=None)
    assert tokenise("key", lambda: iter(TEXTS), tokenizer, start=None, end=None).num_stories == 2


def test_unused_entries_are_removed(tokenizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import os

    monkeypatch.setenv("FABULA_CACHE", str(tmp_path))
    tokenise("old", lambda: iter(TEXTS), tokenizer, start=None, end=None)
    os.utime(cache.cache_folder() / "old", (0, 0))
    tokenise("new", lambda: iter(TEXTS), tokenizer, start=None, end=None)
    assert [path.name for path in cache.cache_folder().iterdir() if path.is_dir()] == ["new"]


def test_characters_that_the_base_cannot_write_are_said_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("FABULA_CACHE", str(tmp_path))
    texts = ["ľ ľ \x04", "plain"]
    for _ in range(2):
        said: list[Progress] = []
        stories = tokenise(
            "gaps", lambda: iter(texts), gappy_tokenizer(), start=None, end=None, on_progress=said.append
        )
        assert stories.num_lost_characters == 3
        (message,) = [each.message for each in said if each.message]
        assert "no tokens for 3 characters" in message
        assert r"'\u013e' '\x04'" in message


def test_only_large_corpora_are_worth_the_faster_tokenizer(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("FABULA_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "BATCH_CHARACTERS", 10)
    made = []

    class Watched(cache.Encoder):
        def __init__(self, *arguments: Any) -> None:
            made.append(1)
            super().__init__(*arguments)

    monkeypatch.setattr(cache, "Encoder", Watched)
    tokenise("small", lambda: iter(TEXTS * 3), tokenizer, start=None, end=None)
    assert not made
    monkeypatch.setattr(cache, "SMALL_CHARACTERS", 100)
    large = tokenise("large", lambda: iter(TEXTS * 3), tokenizer, start=None, end=None)
    assert made == [1]
    assert large.tokens.tolist() == [int(each) for ids in encode(tokenizer, TEXTS * 3) for each in ids]
