"""Word bias: a word gains or loses the given number of nats, whatever its tokens are."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fabula.errors import FabulaError
from fabula.generation.settings import SamplingSettings
from fabula.generation.transformers_engine import TransformersEngine
from fabula.generation.vocabulary import Vocabulary
from fabula.generation.word_bias import WordBias
from fabula.tokens.tokenizer import train_tokenizer

WORDS = ["the cat saw a cataract and the concatenated cats", "a Cat", "the cats", "dog"]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    tokenizer: Any = train_tokenizer(WORDS * 4, 300, context_length=64)
    return Vocabulary(tokenizer.backend_tokenizer)


@pytest.mark.parametrize("before", ["the", "the c", "the ca", "the cat", "the Ca", "sca", "the "])
def test_the_shares_of_a_words_tokens(vocabulary: Vocabulary, before: str):
    logits = np.zeros(len(vocabulary.token_bytes), dtype=np.float32)
    WordBias(vocabulary, {"cat": 3.0}).add(logits, before)
    begun = before.rpartition(" ")[2]
    for token, logit in zip(vocabulary.token_bytes, logits, strict=True):
        piece = token.decode(errors="replace")
        expected = 0.0
        if (
            len(piece) > 1
            and " cat".startswith(piece.lower())
            and piece in (" " + piece[1:].lower(), " C" + piece[2:].lower())
        ):
            expected = len(piece) - 1.0
        elif begun == "cat" and piece[:1].isalnum():
            expected = -3.0
        elif piece and any(
            word.startswith(begun) and word[len(begun) :].startswith(piece) for word in ("cat", "Cat", "CAT")
        ):
            expected = float(len(begun + piece))
        assert logit == pytest.approx(expected), piece
    assert logits.any()


def test_a_less_likely_word_in_the_prompt_is_not_made_longer(vocabulary: Vocabulary):
    logits = np.zeros(len(vocabulary.token_bytes), dtype=np.float32)
    WordBias(vocabulary, {"cat": -100.0}).add(logits, "the cat")
    assert logits.max() == 0


def test_words_are_taken_from_the_command_line():
    assert SamplingSettings.parse({"word_bias": ["Door=2", "sea=-1.5"]}).word_bias == {"door": 2, "sea": -1.5}
    assert SamplingSettings(word_bias={"Door": 2}).word_bias == {"door": 2}
    for wrong in (["door"], ["door=much"], {"two words": 1}):
        with pytest.raises(FabulaError):
            SamplingSettings.parse({"word_bias": wrong})


def test_a_word_comes_more_often(tiny_gpt2_dir: Path):
    from fabula.generation.write import Writer

    writer = Writer(TransformersEngine(tiny_gpt2_dir))
    counts = [
        sum(
            writer.write("The", seed=seed, max_new_tokens=40, word_bias={"fox": bias})
            .text.lower()
            .count("fox")
            for seed in range(4)
        )
        for bias in (-20.0, 0.0, 20.0)
    ]
    assert counts[0] <= counts[1] < counts[2]
    assert all(low <= high for low, high in pairwise(counts))
