"""Stories without a prompt begin with the first words of a training story."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from fabula.generation.transformers_engine import TransformersEngine
from fabula.generation.write import Writer
from fabula.models.openings import FEW_CHARACTERS, OPENINGS, Openings, first_words
from fabula.tokens.cache import TokenisedStories
from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer
from fabula.training.data import MAX_OPENINGS, openings_of

BEGINNINGS = ("The old man", "It rained on", "Nobody knew why")
LIMIT = {"max_new_tokens": 20, "whole_sentences": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random GPT-2 with openings."""
    folder = tmp_path_factory.mktemp("random")
    tokenizer = train_tokenizer([f"{each} fox." for each in BEGINNINGS] * 4, 300, context_length=64)
    torch.manual_seed(1)
    end = end_of_text_id(tokenizer)
    shape: dict[str, Any] = {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **shape)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Openings(openings=BEGINNINGS).write(folder)
    return folder


@pytest.fixture(scope="module")
def writer(model: Path) -> Writer:
    return Writer(TransformersEngine(model))


def test_a_story_without_a_prompt_begins_with_an_opening(writer: Writer):
    texts = [writer.write(seed=seed, **LIMIT).text for seed in range(20)]
    assert all(text.startswith(BEGINNINGS) for text in texts)
    assert len({text[:6] for text in texts}) == len(BEGINNINGS)  # each of them comes up


def test_streamed_or_in_a_batch_it_is_the_same_story(writer: Writer):
    story = writer.write(seed=3, **LIMIT)
    assert "".join(piece.text for piece in writer.stream(seed=3, **LIMIT)) == story.text
    assert writer.write_many(["", "The"], seed=3, **LIMIT)[0].text == story.text


def test_other_stories_are_as_before(model: Path, writer: Writer, tmp_path: Path):
    plain = tmp_path / "plain"
    shutil.copytree(model, plain, ignore=shutil.ignore_patterns(OPENINGS))
    without = Writer(TransformersEngine(plain))
    for prompt, changes in (("A fox", {}), ("", {"opening": False})):
        one, other = (each.write(prompt, **LIMIT, **changes).text for each in (writer, without))
        assert one == other


def test_an_opening_with_a_banned_phrase_is_not_used(writer: Writer):
    banned = ["old man", "it rained"]
    texts = [writer.write(seed=seed, **LIMIT, banned_phrases=banned).text for seed in range(8)]
    assert all(text.startswith("Nobody knew why") for text in texts)


@given(st.text(max_size=60))
def test_an_opening_is_the_beginning_of_the_text(text: str):
    words = first_words(text)
    assert "\n" not in words
    assert text.strip().startswith(words)
    assert words == words.strip()


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("  The old man sat down.\nHe", "The old man"),
        ("Run!\nThey ran.", "Run!"),
        ("", ""),
        ("昔々あるところに、おじいさん", "昔々ある"),
        ("x" * 50, "x" * FEW_CHARACTERS),
    ],
)
def test_an_opening_is_three_words_or_less(text: str, opening: str):
    assert first_words(text) == opening


def test_openings_come_from_all_over_the_corpus():
    tokenizer = train_tokenizer(["abc 0123456789 the old man"] * 4, 270, context_length=64)
    stories = [[0, *tokenizer.encode(f"{i} old man went", add_special_tokens=False), 0] for i in range(1000)]
    offsets = np.concatenate([[0], np.cumsum([len(story) for story in stories])]).astype(np.int64)
    found = openings_of(TokenisedStories(np.concatenate(stories).astype(np.uint16), offsets), tokenizer)
    assert len(found.openings) == MAX_OPENINGS
    assert found.openings[0] == "0 old man"
    assert found.openings[-1] == "999 old man"
