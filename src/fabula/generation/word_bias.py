"""Words that shall come more or less often, whatever their tokens are.

A word's bias b is added to the logits of its tokens in shares: where the word is begun, a token that goes on with it gets b times the
part of the word that is then written. So whole words gain or lose b nats, over any tokens that spell them, and words that only begin
alike gain nothing (potential-based shaping, Ng, Harada and Russell 1999).
"""

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fabula.generation.vocabulary import Vocabulary

BEGUN = re.compile(r"\w*\Z")


class WordBias:
    """Args:
    bias: for each word, in lower case, what is added to its logarithmic probability in nats; it holds for the word with a
        capital and in capitals, too.
    """

    def __init__(self, vocabulary: Vocabulary, bias: Mapping[str, float]) -> None:
        self._vocabulary = vocabulary
        self._spellings = [
            (spelling, value)
            for word, value in bias.items()
            for spelling in dict.fromkeys((word, word.capitalize(), word.upper()))
        ]
        self._goes_on = np.flatnonzero(
            [token[:1].decode(errors="replace").isalnum() for token in vocabulary.token_bytes]
        )
        """Tokens that would make a longer word of a whole one."""
        begins: Counter[int] = Counter()
        for spelling, value in self._spellings:
            begins.update(self._shares(spelling, value, lead=b" "))
        self._begins = np.array(list(begins), dtype=np.int64)
        self._begin_shares = np.array(list(begins.values()), dtype=np.float32)

    def add(self, logits_V: NDArray[np.float32], before: str) -> None:
        """Add to the logits of the token that follows `before`."""
        logits_V[self._begins] += self._begin_shares
        found = BEGUN.search(before)
        begun = found.group() if found else ""
        for spelling, value in self._spellings:
            if begun == spelling:
                logits_V[self._goes_on] -= value
            elif spelling.startswith(begun):
                for token, share in self._shares(spelling, value, num_written=len(begun.encode())).items():
                    logits_V[token] += share

    def _shares(
        self, spelling: str, value: float, *, num_written: int = 0, lead: bytes = b""
    ) -> dict[int, float]:
        """What the tokens get that write a word, or go on with it.

        Args:
            num_written: bytes of the word that are written.
            lead: what the tokens begin with.
        """
        word = spelling.encode()
        sizes = {
            token: len(self._vocabulary.token_bytes[token]) - len(lead)
            for token in self._vocabulary.prefixes(lead + word[num_written:])
        }
        return {token: value * (num_written + size) / len(word) for token, size in sizes.items() if size > 0}
