"""Recited passages: found where a text costs nearly nothing, unless the text itself explains that."""

import numpy as np

from fabula.evaluation.likelihood import ScoredText
from fabula.evaluation.recitation import NUM_TOKENS, count_recited

WORDS = [f"word{number} " for number in range(100)]


def scored(words: list[str], cheap: range) -> ScoredText:
    """A token for each word, each with a newline after it; those in `cheap` have a loss near zero."""
    nats = np.array([0.01 if index in cheap else 3.0 for index in range(len(words))])
    ends = np.cumsum([len(word) for word in words])
    return ScoredText("\n".join(words), nats, np.ones(len(words), dtype=bool), ends)


def test_a_passage_that_costs_nothing_is_recited():
    cheap = range(50, 50 + NUM_TOKENS)
    assert count_recited([scored(WORDS, cheap), scored(WORDS, range(0)), scored([], range(0))]) == 1
    assert count_recited([scored(WORDS, range(50, 50 + NUM_TOKENS - 3))]) == 0


def test_a_refrain_is_not():
    refrain = WORDS[:40]
    assert count_recited([scored([*refrain, *WORDS[40:60], *refrain], range(60, 100))]) == 0
