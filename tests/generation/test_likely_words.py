"""The words that a model would write at a place: their probabilities are those of its tokens."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from fabula.errors import FabulaError
from fabula.generation.draft import make_drafts
from fabula.generation.likely_words import NUM_WORDS, LikelyWord, is_word, likely_words
from fabula.generation.settings import SamplingSettings
from fabula.generation.transformers_engine import TransformersEngine

from test_healing import WORDS, Markov, log_probability  # isort: skip


def words_after(engine: Markov | TransformersEngine, text: str, written: str) -> list[LikelyWord]:
    [draft] = make_drafts(engine, [text], SamplingSettings(), seed=0)
    return likely_words(draft, written)


@pytest.mark.parametrize("before", ["", ". ", "."])
def test_probabilities_are_the_sums_over_all_token_sequences(tmp_path: Path, before: str):
    """Counted out: every sequence of up to five tokens that spells the text before, a word, and then something else; given
    that the text before is there."""
    engine = Markov(tmp_path)
    ends = [index for index, word in enumerate(WORDS) if not word[0].isalpha()] + [engine.start_id]
    expected: dict[str, float] = {}
    total = 0.0 if before else 1.0
    for length in range(1, 6):
        for ids in product(range(len(WORDS)), repeat=length):
            text = "".join(WORDS[i] for i in ids)
            if not text.startswith(before):
                continue
            if len(text) - len(WORDS[ids[-1]]) < len(before):
                total += np.exp(log_probability(engine, list(ids)))
            if is_word(word := text[len(before) :]):
                share = np.exp([log_probability(engine, [*ids, end]) for end in ends]).sum()
                expected[word] = expected.get(word, 0.0) + share
    found = words_after(engine, before, "ab")
    assert found[0].text == "ab"
    likeliest = sorted((word for word in expected if word != "ab"), key=lambda word: -expected[word])[:3]
    assert [word.text for word in found[1:4]] == likeliest
    for word in found[:4]:
        exact = expected[word.text] / total
        assert 0.85 * exact < word.probability < 1.05 * exact  # unlikely sequences are not followed
        assert "".join(text for text, _ in word.tokens).strip() == word.text
    assert len(found) == NUM_WORDS + 1


def test_a_real_model_names_whole_words(tiny_gpt2_dir: Path):
    engine = TransformersEngine(tiny_gpt2_dir)
    found = words_after(engine, "Once upon a time there was a fox who ", "lived")
    assert found[0].text == "lived"
    assert 0 < found[0].probability < 1
    assert len({word.text for word in found}) == len(found)
    assert all(is_word(word.text) for word in found)
    assert sum(word.probability for word in found) <= 1 + 1e-6
    shares = [word.probability for word in found[1:]]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("written", ["", " lamp", "two words", "end.", "x" * 61, "“"])
def test_what_is_not_one_word_is_refused(tiny_gpt2_dir: Path, written: str):
    engine = TransformersEngine(tiny_gpt2_dir)
    with pytest.raises(FabulaError, match="this is not one word"):
        words_after(engine, "Once ", written)
