"""Splits a text into words, and detects loops in it."""

import re
from collections.abc import Sequence

import numpy as np

WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
LONGEST_PERIOD = 40


def words_of(text: str) -> list[str]:
    """Words in lower case, and punctuation marks."""
    return WORD.findall(text.lower())


def loops(words: Sequence[str]) -> bool:
    """Whether a passage occurs at least three times in a row, over at least 12 words.

    >>> loops("he ran and ran and ran and ran and ran and ran and ran away".split())
    True
    """
    ids = {word: index for index, word in enumerate(dict.fromkeys(words))}
    sequence = np.array([ids[word] for word in words])
    for period in range(1, min(LONGEST_PERIOD, len(sequence) // 3) + 1):
        same = np.concatenate([[False], sequence[period:] == sequence[:-period], [False]])
        edges = np.flatnonzero(same[1:] != same[:-1])
        longest = int((edges[1::2] - edges[::2]).max(initial=0)) + period
        if longest >= max(3 * period, 12):
            return True
    return False
