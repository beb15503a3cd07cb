"""The samplers that are off by default, and phrase bans."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from fabula.generation.engine import Batch
from fabula.generation.sampling import repeated_lengths, token_weights
from fabula.generation.settings import SamplingSettings
from fabula.generation.transformers_engine import TransformersEngine
from fabula.generation.write import Writer
from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer

NOTHING = np.zeros(0, dtype=np.int64)


def test_top_n_sigma_keeps_what_is_near_the_largest_logit():
    logits = np.array([0.0, 1, 2, 3, 10], dtype=np.float32)
    least = 10 - 2.2 * logits.std()
    weights = token_weights(logits, SamplingSettings(top_n_sigma=2.2, top_p=1), NOTHING)
    assert (weights > 0).tolist() == (logits >= least).tolist()
    assert 1 < (weights > 0).sum() < 5
    banned = np.append(logits, -np.inf).astype(np.float32)
    weights = token_weights(banned, SamplingSettings(top_n_sigma=2.2, top_p=1), NOTHING)
    assert (weights[:5] > 0).tolist() == (logits >= least).tolist()


def test_xtc_keeps_the_least_likely_of_the_likely_tokens():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    chosen = SamplingSettings(top_p=1, xtc_threshold=0.1, xtc_probability=1)
    weights = token_weights(logits, chosen, NOTHING, without_likeliest=True)
    assert (weights > 0).tolist() == [False, False, True, True]
    assert weights[2] / weights[3] == pytest.approx(3)
    alone = SamplingSettings(top_p=1, xtc_threshold=0.4, xtc_probability=1)
    assert (token_weights(logits, alone, NOTHING, without_likeliest=True) > 0).all()


@pytest.mark.parametrize(
    ("ids", "breakers", "lengths"),
    [
        ([1, 2, 3, 9, 1, 2, 3], set(), {9: 3}),
        ([1, 2, 3, 9, 1, 2, 3], {2}, {9: 1}),
        ([1, 2, 3, 9, 1, 2, 3], {3}, {}),
        ([1, 2, 3, 9, 1, 2, 3], {9}, {}),
        ([3, 7, 2, 3, 8, 2, 3], set(), {7: 1, 8: 2}),
        ([5, 5, 5], set(), {5: 2}),
        ([1, 2], set(), {}),
        ([], set(), {}),
    ],
)
def test_dry_finds_the_longest_repetition(ids: list[int], breakers: set[int], lengths: dict[int, int]):
    assert repeated_lengths(np.array(ids, dtype=np.int64), breakers) == lengths


def test_dry_subtracts_its_penalty():
    logits = np.zeros(10, dtype=np.float32)
    chosen = SamplingSettings(top_p=1, dry_multiplier=0.8, dry_base=1.75, dry_allowed_length=2)
    weights = token_weights(logits, chosen, np.array([1, 2, 3, 9, 1, 2, 3]))
    assert weights[9] / weights[0] == pytest.approx(np.exp(-0.8 * 1.75))
    assert (np.delete(weights, 9) == 1).all()


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    folder: Path = tmp_path_factory.mktemp("random")
    tokenizer = train_tokenizer(["the cat and the dog ate the fish."] * 4, 300, context_length=64)
    torch.manual_seed(1)
    end = end_of_text_id(tokenizer)
    shape = {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.3}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **shape)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Writer(Ascii(folder))


class Ascii(TransformersEngine):
    """It never writes other characters, and never ends a story."""

    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        return AsciiBatch(self, super().read(windows))


class AsciiBatch(Batch):
    def __init__(self, engine: Ascii, batch: Batch) -> None:
        self._batch = batch
        self._others = [
            i
            for i, text in enumerate(engine.vocabulary.token_bytes)
            if not text.decode(errors="replace").isprintable() or not text.isascii() or not text
        ]
        self._mask()

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        self._batch.step(rows, input_ids)
        self._mask()

    def _mask(self) -> None:
        self.logits_BV = self._batch.logits_BV.copy()
        self.logits_BV[:, self._others] = -50


@pytest.mark.parametrize("settings", [{}, {"whole_sentences": False}])
def test_a_banned_phrase_is_never_written_nor_shown(writer: Writer, settings: dict):
    """Phrases taken from the model's own stories, over token boundaries, inside them, and over the prompt's end."""
    settings = {"max_new_tokens": 60, "top_p": 1.0, **settings}
    avoided = 0
    for seed in range(6):
        free = writer.write("the cat", seed=seed, **settings).text
        for start in (0, 7, 20):
            phrase = free[start : start + 5].strip()
            if not phrase or "\ufffd" in phrase:
                continue
            story = writer.write("the cat", seed=seed, banned_phrases=[phrase], **settings)
            pieces = writer.stream("the cat", seed=seed, banned_phrases=[phrase], **settings)
            assert "".join(piece.text for piece in pieces) == story.text
            banned = rf"(?<!\w){re.escape(phrase)}(?!\w)"
            assert not re.search(banned, story.text, re.IGNORECASE)
            avoided += story.text != free
    assert avoided


def test_a_ban_means_whole_words_in_any_case_and_begins_in_the_prompt(writer: Writer):
    settings = {"max_new_tokens": 8, "whole_sentences": False, "temperature": 0.0}
    free = writer.write("the cat", **settings).text
    again = writer.write("the cat", banned_phrases=["the cat" + free[:2].upper()], **settings).text
    assert again[:2] != free[:2] or free[2:3].isalnum()
    assert writer.write("the cat", banned_phrases=["zzzz"], **settings).text == free
