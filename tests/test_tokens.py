"""Tokenizers and the cache of tokenised stories."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.errors import FabulaError
from fabula.tokens import cache
from fabula.tokens.cache import tokenise
from fabula.tokens.markup import render, story_characters
from fabula.tokens.tokenizer import (
    encode,
    encode_with_spans,
    end_of_text_id,
    load_tokenizer,
    start_id,
    train_tokenizer,
)

TEXTS = ["Once upon a time\nthere was a miller.", "“Nein”, sagte der Fuchs. 狐狸 🦊"]


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_dir: Path):
    return load_tokenizer(tiny_tokenizer_dir)


@given(st.text())
def test_a_byte_level_vocabulary_gives_every_text_back(tokenizer, text: str):
    (ids,) = encode(tokenizer, [text])
    assert tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False) == text


def test_training_twice_gives_the_same_tokenizer():
    backends: list[Any] = [
        train_tokenizer(TEXTS * 5, 300, context_length=32).backend_tokenizer for _ in range(2)
    ]
    assert backends[0].to_str() == backends[1].to_str()


def test_the_vocabulary_has_one_special_token_at_most_as_many_as_asked_for():
    trained = train_tokenizer(TEXTS * 5, 280, context_length=32)
    assert len(trained) <= 280
    assert trained.all_special_tokens == ["<|endoftext|>"]
    assert start_id(trained) == end_of_text_id(trained)


def test_encoding_equals_transformers_own(tokenizer):
    for text, ids in zip(TEXTS, encode(tokenizer, TEXTS), strict=True):
        assert ids.tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_name_of_the_end_token_in_a_story_is_plain_text(tokenizer):
    (ids,) = encode(tokenizer, ["a <|endoftext|> b"])
    assert end_of_text_id(tokenizer) not in ids
    assert tokenizer.decode(ids.tolist()) == "a <|endoftext|> b"
    assert tokenizer("<|endoftext|>")["input_ids"] == [
        end_of_text_id(tokenizer)
    ]  # and nothing was changed for others


def test_spans_cover_the_text(tokenizer):
    for text, (ids, spans) in zip(TEXTS, encode_with_spans(tokenizer, TEXTS), strict=True):
        assert len(ids) == len(spans)
        assert spans[0, 0] == 0
        assert spans[-1, 1] == len(text)
        assert (spans[1:, 0] <= spans[:-1, 1]).all()


def test_a_folder_without_tokenizer_is_one_clear_line(tmp_path: Path):
    with pytest.raises(FabulaError, match="no tokenizer"):
        load_tokenizer(tmp_path)


def test_a_damaged_tokenizer_is_one_clear_line(tmp_path: Path, tiny_tokenizer_dir: Path):
    (tmp_path / "tokenizer.json").write_text((tiny_tokenizer_dir / "tokenizer.json").read_text()[:500])
    with pytest.raises(FabulaError, match="cannot be loaded") as error:
        load_tokenizer(tmp_path)
    assert "\n" not in str(error.value)


def test_a_tokenizer_without_end_token_is_refused(tmp_path: Path, tiny_tokenizer_dir: Path):
    (tmp_path / "tokenizer.json").write_bytes((tiny_tokenizer_dir / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    with pytest.raises(FabulaError, match="end-of-text"):
        load_tokenizer(tmp_path)


@given(st.text(alphabet="ab\n"))
def test_story_characters_mark_all_but_newlines_and_markers(text: str):
    for markup in ("newline", "notebook"):
        rendered, mask = render(text, markup), story_characters(text, markup)
        assert len(rendered) == len(mask)
        assert "".join(c for c, story in zip(rendered, mask, strict=True) if story) == text.replace("\n", "")


def test_notebook_markup_spells_its_markers_out():
    assert render("One.\nTwo.", "notebook") == "<sos> One. <nl> Two. <eos>"


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


def test_entries_that_nobody_uses_are_removed(tokenizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import os

    monkeypatch.setenv("FABULA_CACHE", str(tmp_path))
    tokenise("old", lambda: iter(TEXTS), tokenizer, start=None, end=None)
    os.utime(cache.cache_folder() / "old", (0, 0))
    tokenise("new", lambda: iter(TEXTS), tokenizer, start=None, end=None)
    assert [path.name for path in cache.cache_folder().iterdir() if path.is_dir()] == ["new"]
