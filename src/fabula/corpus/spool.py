"""Cleaned stories on their way to the corpus, kept on the disk, so that memory holds a few numbers a story.

Where the copies are is known only when the last story was read; until then the stories wait here.
"""

import json
from array import array
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fabula.corpus.dedup import NUM_BANDS
from fabula.corpus.ledger import Removal
from fabula.corpus.stages import Batch, CleanedStory
from fabula.story import Story


class Spool:
    """Files of texts, of everything else about the stories, and of their signatures."""

    def __init__(self, folder: Path) -> None:
        self._texts = (folder / "texts").open("w+b")
        self._rows = (folder / "rows").open("w+", encoding="utf-8", newline="\n")
        self._bands = (folder / "bands").open("w+b")
        self._bands_path = folder / "bands"
        self._keys = array("Q")
        self._places = array("Q", [0])
        self._dropped = array("b")

    def close(self) -> None:
        for file in (self._texts, self._rows, self._bands):
            file.close()

    def __len__(self) -> int:
        return len(self._dropped)

    def add(self, batch: Batch) -> None:
        for one in batch.stories:
            raw = one.story.text.encode("utf-8", "surrogatepass")
            self._texts.write(raw)
            self._places.append(self._places[-1] + len(raw))
            self._dropped.append(bool(one.reason))
            story = one.story
            row = [
                story.id,
                story.source,
                story.source_line,
                story.title,
                story.split,
                one.reason,
                one.repairs,
            ]
            removals = [list(asdict(removal).values()) for removal in one.removals]
            self._rows.write(json.dumps([*row, removals], ensure_ascii=True) + "\n")
        self._keys.frombytes(np.ascontiguousarray(batch.keys).tobytes())
        self._bands.write(np.ascontiguousarray(batch.bands).tobytes())

    @property
    def lengths(self) -> np.ndarray:
        """Bytes of each story's text."""
        return np.diff(np.frombuffer(self._places, np.uint64).astype(np.int64))

    @property
    def dropped(self) -> np.ndarray:
        """Whether a filter dropped the story."""
        return np.frombuffer(self._dropped, bool) if len(self) else np.zeros(0, bool)

    @property
    def keys(self) -> np.ndarray:
        return np.frombuffer(self._keys, np.uint64).reshape(-1, 2)

    @property
    def bands(self) -> np.ndarray:
        self._bands.flush()
        if not len(self):
            return np.zeros((0, NUM_BANDS), np.uint64)
        return np.memmap(self._bands_path, np.uint64, "r").reshape(-1, NUM_BANDS)

    def ids_and_splits(self) -> Iterator[tuple[str, str]]:
        """Each story's id, and the split that the input puts it in or ""."""
        self._rows.seek(0)
        for row in self._rows:
            story_id, _, _, _, split, *_ = json.loads(row)
            yield story_id, split

    def text(self, number: int) -> str:
        """The text of a story, by number."""
        self._texts.flush()
        self._texts.seek(self._places[number])
        raw = self._texts.read(self._places[number + 1] - self._places[number])
        return raw.decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[CleanedStory]:
        self._texts.seek(0)
        self._rows.seek(0)
        for number, row in enumerate(self._rows):
            story_id, source, line, title, split, reason, repairs, removals = json.loads(row)
            raw = self._texts.read(self._places[number + 1] - self._places[number])
            story = Story(story_id, raw.decode("utf-8", "surrogatepass"), source, line, title, split=split)
            yield CleanedStory(story, [Removal(*removal) for removal in removals], repairs, reason)
