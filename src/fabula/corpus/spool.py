"""Stores cleaned stories on disk before they become a corpus, so that memory holds only a few numbers per story.

Copies are known only after the last story was read; until then the stories are stored here.
"""

import json
from array import array
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fabula.corpus.dedup import NUM_BANDS
from fabula.corpus.ledger import Removal
from fabula.corpus.split import NAMES
from fabula.corpus.stages import CleanedStories, CleanedStory
from fabula.story import Story


class Spool:
    """Files of texts, of everything else about the stories, and of their signatures."""

    def __init__(self, folder: Path) -> None:
        self._texts = (folder / "texts").open("w+b")
        self._rows = (folder / "rows").open("w+", encoding="utf-8", newline="\n")
        self._bands = (folder / "bands").open("w+b")
        self._keys = array("Q")
        self._places = array("Q", [0])
        self._ids = bytearray()
        self._dropped = array("b")
        self._splits = array("b")
        self._books: dict[str, int] = {}
        self._book_of = array("q")

    def close(self) -> None:
        for file in (self._texts, self._rows, self._bands):
            file.close()

    def __len__(self) -> int:
        return len(self._dropped)

    def add(self, cleaned: CleanedStories) -> None:
        for one in cleaned.stories:
            raw = one.story.text.encode()
            self._texts.write(raw)
            self._places.append(self._places[-1] + len(raw))
            story = one.story
            self._ids += bytes.fromhex(story.id)
            self._dropped.append(bool(one.reason))
            self._book_of.append(self._books.setdefault(story.book, len(self._books)) if story.book else -1)
            self._splits.append(NAMES.index(story.split) if story.split else -1)
            row = [
                story.id,
                story.source,
                story.source_line,
                story.title,
                story.split,
                story.book,
                story.part,
                story.prompt,
            ]
            row += [one.num_words, one.reason, one.repairs]
            for removals in (one.removals, one.doubts):
                row.append([list(asdict(removal).values()) for removal in removals])
            self._rows.write(json.dumps(row, ensure_ascii=True) + "\n")
        self._keys.frombytes(np.ascontiguousarray(cleaned.keys).tobytes())
        self._bands.write(np.ascontiguousarray(cleaned.bands).tobytes())

    @property
    def lengths(self) -> np.ndarray:
        """Bytes of each story's text."""
        return np.diff(np.frombuffer(self._places, np.uint64).astype(np.int64))

    @property
    def dropped(self) -> np.ndarray:
        """Whether a filter dropped each story."""
        return np.frombuffer(self._dropped, bool)

    @property
    def splits(self) -> np.ndarray:
        """The split that the input gives each story, as its number in `split.NAMES`, or -1."""
        return np.frombuffer(self._splits, np.int8)

    @property
    def books(self) -> np.ndarray:
        """The book that each story is a part of, as a number, or -1. The parts of a book are in order."""
        return np.frombuffer(self._book_of, np.int64)

    @property
    def keys(self) -> np.ndarray:
        """See `dedup.signatures`."""
        return np.frombuffer(self._keys, np.uint64).reshape(-1, 2)

    def id(self, number: int) -> str:
        """The id of a story, by number."""
        return self._ids[number * 16 : number * 16 + 16].hex()

    def band(self, column: int) -> np.ndarray:
        """A column of the bands from `dedup.signatures`. The file is read block by block, and is never in memory as a
        whole."""
        self._bands.seek(0)
        parts = [np.zeros(0, np.uint64)]
        while block := self._bands.read(NUM_BANDS * 8 << 16):
            parts.append(np.frombuffer(block, np.uint64).reshape(-1, NUM_BANDS)[:, column].copy())
        return np.concatenate(parts)

    def text(self, number: int) -> str:
        """The text of a story, by number."""
        self._texts.seek(self._places[number])
        raw = self._texts.read(self._places[number + 1] - self._places[number])
        return raw.decode()

    def __iter__(self) -> Iterator[CleanedStory]:
        self._texts.seek(0)
        self._rows.seek(0)
        for number, row in enumerate(self._rows):
            *head, words, reason, repairs, removals, doubts = json.loads(row)
            story_id, source, line, title, split, book, part, prompt = head
            raw = self._texts.read(self._places[number + 1] - self._places[number])
            story = Story(
                story_id, raw.decode(), source, line, title, split=split, book=book, part=part, prompt=prompt
            )
            removals, doubts = ([Removal(*one) for one in rows] for rows in (removals, doubts))
            yield CleanedStory(story, words, removals, repairs, reason, doubts)
