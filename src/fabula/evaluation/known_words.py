"""The words of the training stories, by which new words and strings that are not words are counted."""

import sys
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from fabula.corpus.store import Corpus
from fabula.corpus.words import words_of
from fabula.evaluation.word_lists import is_word, language_of

KNOWN_CHARACTERS = 10_000_000
"""Characters of training stories whose words and pairs of words count as known, in bounded memory."""

NUM_LANGUAGE_WORDS = 20_000
"""Number of words of training stories that are used to detect their language."""


@dataclass(frozen=True, slots=True)
class KnownWords:
    """The words of the training stories, and their pairs of neighbours. A word that is in none of them is a name, or no
    word at all; known words that are nowhere neighbours are news, or do not go together."""

    words: Set[str]
    pairs: Set[tuple[str, str]]
    language: str | None
    """The list of words to look up what no training story has; None for none."""

    @classmethod
    def of_corpus(cls, corpus: Corpus) -> Self:
        """Those of the first `KNOWN_CHARACTERS` characters."""
        words: set[str] = set()
        first: list[str] = []
        pairs: set[tuple[str, str]] = set()
        left = KNOWN_CHARACTERS
        for story in corpus.stories("train"):
            its_words = [sys.intern(word) for word in words_of(story.text)]
            words.update(its_words)
            first += its_words[: NUM_LANGUAGE_WORDS - len(first)]
            pairs.update(pairwise(its_words))
            left -= len(story.text)
            if left < 0:
                break
        return cls(words, pairs, language_of(first))

    def new_share(self, words: Sequence[str]) -> float | None:
        """Share of the words that are in no training story; None if there are no words."""
        return sum(word not in self.words for word in words) / len(words) if words else None

    def non_word_share(self, words: Sequence[str]) -> float | None:
        """Share of the words that are in no training story and in no word list; None if there are no words, or no list of
        their language."""
        if self.language is None or not words:
            return None
        new = [word for word in words if word not in self.words]
        return sum(not is_word(word, self.language) for word in new) / len(words)
