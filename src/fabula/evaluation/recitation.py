"""Detection of held-out stories that a base model has read, because it recites them."""

from collections.abc import Sequence

import numpy as np

from fabula.evaluation.likelihood import ScoredText

NUM_TOKENS = 24
MAX_NATS = 0.2
"""So many tokens in a row are recited if they cost no more than this on average. New prose costs 1.5 and more even in the
easiest such passage of a story (measured with SmolLM2-135M)."""


def count_recited(scored: Sequence[ScoredText]) -> int:
    """How many of the texts hold a recited passage. What repeats an earlier passage of the same text does not count, since
    the model has that in front of it."""
    return sum(map(is_recited, scored))


def is_recited(scored: ScoredText) -> bool:
    """Whether a text holds a recited passage."""
    nats, ends = scored.nats[scored.is_text], scored.ends[scored.is_text]
    if len(nats) < NUM_TOKENS:
        return False
    sums = np.concatenate([[0.0], np.cumsum(nats)])
    means = (sums[NUM_TOKENS:] - sums[:-NUM_TOKENS]) / NUM_TOKENS
    text = scored.text.replace("\n", "")
    third = NUM_TOKENS // 3
    for first in np.flatnonzero(means <= MAX_NATS):
        middle = text[ends[first + third - 1] : ends[first + 2 * third - 1]]
        if text.find(middle) >= ends[first + third - 1]:
            return True
    return False
