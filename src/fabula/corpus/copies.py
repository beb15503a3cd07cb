"""Finds passages of a story that occur word for word in the training stories, fast enough for use while a person
writes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydivsufsort import divsufsort, sa_search

from fabula.corpus.store import open_corpus
from fabula.story import Story

MIN_CHARS = 50
"""A passage shared with a training story counts as copied if it has at least this many characters."""

MAX_INDEX_BYTES = 64 << 20
"""Largest training text that is indexed: the index takes about 5 bytes of memory for each byte of text."""

END_OF_STORY = b"\xff"
"""A byte that occurs in no UTF-8 text, so that no passage crosses the boundary between two stories."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Characters `start` to `end` (exclusive) of a text occur in the training story that `where` names."""

    start: int
    end: int
    where: str


class CopyIndex:
    """A suffix array over the training stories.

    Args:
        stories: at most `MAX_INDEX_BYTES` of text.
    """

    def __init__(self, stories: Iterable[Story]) -> None:
        parts, starts, self._names, size = [], [], [], 0
        for story in stories:
            data = story.text.encode() + END_OF_STORY
            parts.append(data)
            starts.append(size)
            size += len(data)
            self._names.append(story.title or f"{story.source}, line {story.source_line}")
        self._starts = np.array(starts, dtype=np.int64)
        self._text = b"".join(parts)
        self._suffixes = divsufsort(np.frombuffer(bytearray(self._text), dtype=np.uint8))

    def find(self, text: str) -> list[Copy]:
        """The passages of `MIN_CHARS` characters or more that occur in a training story, in order and without overlap;
        at each position the longest."""
        data = text.encode()
        starts = [
            place for place, byte in enumerate(data) if byte & 0xC0 != 0x80
        ]  # byte offset of each character
        starts.append(len(data))
        found: list[Copy] = []
        position = 0
        while position + MIN_CHARS < len(starts):
            length, source = self._longest(data, starts, position)
            if length < MIN_CHARS:
                position += 1
                continue
            story = int(np.searchsorted(self._starts, source, side="right")) - 1
            found.append(Copy(position, position + length, self._names[story]))
            position += length
        return found

    def _longest(self, data: bytes, starts: list[int], position: int) -> tuple[int, int]:
        """The longest passage from character `position` that occurs in the index: its length in characters, and its
        place there."""
        low, high, source = MIN_CHARS - 1, len(starts) - 1 - position, -1
        for length in self._lengths(high):
            at = self._search(data[starts[position] : starts[position + length]])
            if at < 0:
                high = length - 1
                break
            low, source = length, at
        while low < high:
            middle = (low + high + 1) // 2
            at = self._search(data[starts[position] : starts[position + middle]])
            if at < 0:
                high = middle - 1
            else:
                low, source = middle, at
        return (low, source) if source >= 0 else (0, -1)

    @classmethod
    def of_corpus(cls, corpus: str | Path) -> "CopyIndex | None":
        """The index of a corpus's training stories; None if they have more than `MAX_INDEX_BYTES`.

        Raises:
            FabulaError: `corpus` is not a corpus.
        """
        opened = open_corpus(corpus)
        if sum(len(story.text) for story in opened.stories("train")) > MAX_INDEX_BYTES:
            return None
        return cls(opened.stories("train"))

    def holds(self, passage: str) -> bool:
        """Whether a passage occurs in a training story."""
        return self._search(passage.encode()) >= 0

    @staticmethod
    def _lengths(most: int) -> Iterator[int]:
        """Lengths to try, in this order, so that the common case of no copy costs one search."""
        length = MIN_CHARS
        while length < most:
            yield length
            length *= 2
        yield most

    def _search(self, pattern: bytes) -> int:
        """A position where `pattern` occurs in the training text, or -1."""
        count, first = sa_search(self._text, self._suffixes, pattern)
        return int(self._suffixes[first]) if count else -1
