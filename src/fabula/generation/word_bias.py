"""Makes words more or less likely, whatever their tokens are.

A word's bias b is spread over the logits of its tokens: a token that continues the word gets b times the share of the
word that is then written. So whole words gain or lose b nats, with any tokens that spell them, and words that only
begin the same way gain nothing (potential-based shaping, Ng, Harada and Russell 1999).
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fabula.generation.vocabulary import Vocabulary

BEGUN = re.compile(r"\w*\Z")


class WordBias:
    """Args:
    bias: for each word, in lower case, what is added to its log probability, in nats; it also holds for the capitalised
        word and for the word in capitals.

    Raises:
        FabulaError: the text of the model's tokens is not known.
    """

    def __init__(self, vocabulary: Vocabulary, bias: Mapping[str, float]) -> None:
        vocabulary.check_spelled("word_bias")
        self._vocabulary = vocabulary
        self._words = [
            (list(dict.fromkeys((word, word.capitalize(), word.upper()))), value)
            for word, value in bias.items()
        ]
        begins: dict[int, float] = {}
        for spellings, value in self._words:
            for token, share in self._shares(spellings, value, lead=b" ").items():
                begins[token] = begins.get(token, 0.0) + share
        self._begins = np.array(list(begins), dtype=np.int64)
        self._begin_shares = np.array(list(begins.values()), dtype=np.float32)

    def add(self, logits_V: NDArray[np.float32], before: str) -> None:
        """Add to the logits of the token that follows `before`."""
        logits_V[self._begins] += self._begin_shares
        found = BEGUN.search(before)
        begun = found.group() if found else ""
        for spellings, value in self._words:
            # A word in the prompt never lost a negative bias, so a longer word must not get it back.
            if begun in spellings and value > 0:
                logits_V[self._vocabulary.begins_with_letter] -= value
            for token, share in self._shares(spellings, value, begun=begun).items():
                logits_V[token] += share

    def _shares(
        self, spellings: Sequence[str], value: float, *, begun: str = "", lead: bytes = b""
    ) -> dict[int, float]:
        """The bias for tokens that write a word or continue it. A token that can continue to two spellings gets it
        once.

        Args:
            begun: the part of the word that is written.
            lead: the text that the tokens begin with.
        """
        shares: dict[int, float] = {}
        for spelling in spellings:
            if spelling.startswith(begun):
                word, num_written = spelling.encode(), len(begun.encode())
                for token in self._vocabulary.prefixes(lead + word[num_written:]):
                    size = len(self._vocabulary.token_bytes[token]) - len(lead)
                    if size > 0:
                        shares[token] = value * (num_written + size) / len(word)
        return shares
