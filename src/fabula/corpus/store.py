"""A corpus on the disk: Parquet shards of clean stories, the ledger, and the manifest.

CORPUS/data/train-00000-of-00002.parquet ...   also readable by datasets.load_dataset("CORPUS")
CORPUS/ledger.jsonl
CORPUS/manifest.json
CORPUS/review.html
"""

import heapq
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fabula.corpus.ledger import DroppedRow, LedgerRow, Removal, RemovalRow, parse_row, restore
from fabula.errors import FabulaError
from fabula.files import MANIFEST, Manifest, atomic_file, check_is_ours, natural_order
from fabula.results import CorpusManifest, read_rows
from fabula.story import Story

STAGE = "clean"
LEDGER = "ledger.jsonl"
REVIEW = "review.html"
SHARD_BYTES = 256 << 20
GROUP_BYTES = 4 << 20


_NUMBERS = ("source_line", "part", "num_words")
_COLUMNS = (
    "id",
    "text",
    "prompt",
    "title",
    "source",
    "source_line",
    "book",
    "part",
    "cluster",
    "split",
    "num_words",
)


def _table(rows: list[tuple[str | int, ...]]) -> Any:
    """Rows in the order of `_COLUMNS` as an Arrow table. Its arrays are made from buffers: to make them from lists,
    pyarrow would import pandas, which takes a quarter of a second."""
    import pyarrow as pa

    arrays = []
    for name, values in zip(_COLUMNS, zip(*rows, strict=True), strict=True):
        if name in _NUMBERS:
            buffers = [None, pa.py_buffer(np.array(values, np.int64))]
            arrays.append(pa.Array.from_buffers(pa.int64(), len(values), buffers))
        else:
            raw = [str(value).encode() for value in values]
            offsets = np.cumsum([0, *map(len, raw)], dtype=np.int32)
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(raw))]
            arrays.append(pa.Array.from_buffers(pa.string(), len(raw), buffers))
    return pa.Table.from_arrays(arrays, names=list(_COLUMNS))


class ShardWriter:
    """Writes the stories of one split, in the order given, to Parquet shards of about `SHARD_BYTES` of text each."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        self._rows: list[tuple[str | int, ...]] = []
        self._group_bytes = self._shard_bytes = 0
        self._writer: Any = None
        self._shards: list[Path] = []

    def add(self, story: Story, num_words: int) -> None:
        self._rows.append((*(getattr(story, name) for name in _COLUMNS[:-1]), num_words))
        self._group_bytes += len(story.text)
        if self._group_bytes >= GROUP_BYTES or len(self._rows) >= 16_384:
            self._flush()

    def _flush(self) -> None:
        import pyarrow.parquet as pq

        table = _table(self._rows)
        if self._writer is None:
            self._shards.append(self._folder / f"{self._split}-{len(self._shards):05d}")
            self._writer = pq.ParquetWriter(self._shards[-1], table.schema, compression="zstd")
        self._writer.write_table(table)
        self._shard_bytes += self._group_bytes
        self._rows, self._group_bytes = [], 0
        if self._shard_bytes >= SHARD_BYTES:
            self._finish_shard()

    def _finish_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._shard_bytes = None, 0

    def close(self) -> None:
        """Write what is left and give the shards their names, which include the number of shards."""
        if self._rows:
            self._flush()
        self._finish_shard()
        for shard in self._shards:
            shard.rename(shard.with_name(f"{shard.name}-of-{len(self._shards):05d}.parquet"))


class CorpusWriter:
    """Writes stories and ledger rows into an empty folder."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._data.mkdir()
        self._splits: dict[str, ShardWriter] = {}
        self._ledger = (folder / LEDGER).open("w", encoding="utf-8", newline="\n")

    def __enter__(self) -> "CorpusWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ledger.close()
        if kind is None:
            for writer in self._splits.values():
                writer.close()

    def keep(self, story: Story, removals: list[Removal], num_words: int) -> None:
        if story.split not in self._splits:
            self._splits[story.split] = ShardWriter(self._data, story.split)
        self._splits[story.split].add(story, num_words)
        for removal in removals:
            self.write_row(
                RemovalRow(
                    story=story.id,
                    source=story.source,
                    source_line=story.source_line,
                    start=removal.start,
                    end=removal.end,
                    rule=removal.rule,
                    confidence=round(removal.confidence, 4),
                    text=removal.text,
                )
            )

    def write_row(self, row: LedgerRow) -> None:
        """Write a ledger row for a story that is not kept, or for what was left out while reading."""
        is_copy = isinstance(row, DroppedRow) and row.copy_of
        values = row.model_dump(exclude=None if is_copy else {"copy_of", "similarity"})
        self._ledger.write(json.dumps(values, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Corpus:
    """A corpus that `clean` made.

    Attributes:
        path: its folder.
        manifest: its inputs, settings and counts.
    """

    path: Path
    manifest: CorpusManifest

    @property
    def fingerprint(self) -> str:
        """Hash of its stories: equal for corpora with the same stories in the same splits and order."""
        return self.manifest.counts.content

    @property
    def splits(self) -> list[str]:
        """Names of the splits that have stories."""
        return list(self.manifest.counts.splits)

    def num_stories(self, split: str | None = None) -> int:
        """Number of stories in a split, or in all."""
        splits = self.manifest.counts.splits
        return sum(splits.values()) if split is None else splits.get(split, 0)

    def shards(self, split: str | None = None) -> list[Path]:
        """The Parquet files of a split, or of all ("train" first), in order."""
        return [
            shard
            for name in ([split] if split else self.splits)
            for shard in sorted((self.path / "data").glob(f"{name}-*-of-*.parquet"))
        ]

    def stories(self, split: str | None = None) -> Iterator[Story]:
        """The stories of a split, or of all, a few at a time, in the order of the input.

        Raises:
            FabulaError: a shard is damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        for shard in self.shards(split):
            try:
                for batch in pq.ParquetFile(shard).iter_batches(batch_size=256):
                    for row in batch.to_pylist():
                        del row["num_words"]
                        yield Story(**row)
            except (pa.ArrowException, OSError, KeyError, TypeError, UnicodeDecodeError) as error:
                raise FabulaError(
                    f"this shard is damaged ({type(error).__name__})",
                    where=shard,
                    hint="make the corpus again",
                ) from None

    def ledger(self) -> Iterator[LedgerRow]:
        """The rows of the ledger: removals, dropped stories, joined lines, and what was left out while reading.

        Raises:
            FabulaError: a row is damaged.
        """
        path = self.path / LEDGER
        for number, value in read_rows(path):
            yield parse_row(value, path, number)

    def restore(self, story: str) -> str:
        """A story's text as it was read (and repaired), by its id or the beginning of it.

        Raises:
            FabulaError: no story has this id, or several do.
        """
        rows = [
            row
            for row in self.ledger()
            if isinstance(row, RemovalRow | DroppedRow) and row.story.startswith(story)
        ]
        found = {one.id: one for one in self.stories() if one.id.startswith(story)}
        ids = {row.story for row in rows} | set(found)
        if len(ids) != 1:
            raise FabulaError(
                f"no story has the id {story!r}"
                if not ids
                else f"{len(ids)} stories have ids like {story!r}",
                where=self.path,
                hint=f"ids are in {LEDGER} and in the column id" if not ids else "write more of the id",
            )
        if not found:
            return next(row.text for row in rows if row.text is not None)
        kept = next(iter(found.values()))
        place = (kept.source, kept.source_line)
        removals = [
            Removal(row.start, row.end, row.rule, row.confidence, row.text)
            for row in rows
            if isinstance(row, RemovalRow) and (row.source, row.source_line) == place
        ]
        return restore(kept.text, removals)


def open_corpus(path: str | Path) -> Corpus:
    """Open a corpus.

    Raises:
        FabulaError: there is no corpus, or it is incomplete.
    """
    path = Path(path)
    if not path.exists():
        raise FabulaError(
            "no such corpus", where=path, hint="make one with: fabula clean STORIES --out CORPUS"
        )
    manifest = CorpusManifest.find(path)
    if manifest is None or manifest.stage != STAGE:
        raise FabulaError(
            "this is not a corpus" if not (path / MANIFEST).exists() else "this corpus is damaged",
            where=path,
            hint="make one with: fabula clean STORIES --out CORPUS",
        )
    if damaged := _damaged(Corpus(path, manifest)):
        raise FabulaError(
            f"this corpus is incomplete ({damaged})", where=path, hint="make it again with fabula clean"
        )
    return Corpus(path, manifest)


def is_whole(path: Path) -> bool:
    """Whether `path` is a corpus with all its files."""
    manifest = CorpusManifest.find(path)
    return manifest is not None and manifest.stage == STAGE and not _damaged(Corpus(path, manifest))


def _damaged(corpus: Corpus) -> str:
    """A file of the corpus that is missing or has another size than it was written with, or ""."""
    present = {shard.name: shard.stat().st_size for shard in corpus.shards()}
    for name, size in corpus.manifest.counts.shards.items():
        if present.get(name) != size:
            return f"data/{name}"
    return "" if (corpus.path / LEDGER).is_file() else LEDGER


def write_jsonl(corpus: Path, path: Path) -> None:
    """Write the stories of a corpus to a JSON Lines file, in the order of the input."""
    opened = open_corpus(corpus)
    splits = [opened.stories(name) for name in opened.splits]
    with atomic_file(path) as file:
        for story in heapq.merge(*splits, key=_place):
            row = {"source_line": story.source_line, "text": story.text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _place(story: Story) -> tuple[list[tuple[int, str]], int, int]:
    """The position of a story in the input."""
    return natural_order(story.source), story.source_line, story.part


def check_output(out: Path) -> None:
    """Check that a corpus may be written to `out`, before any work is done.

    Raises:
        FabulaError: `out` holds something else, or cannot be written to.
    """
    try:
        manifest = Manifest.find(out)
        if manifest is None or manifest.stage != STAGE:
            check_is_ours(out, "--out")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise FabulaError(
            f"nothing can be written there ({error.strerror})",
            where=out,
            hint="name another folder with --out",
        ) from None


def restore_story(corpus: str | Path, story: str) -> str:
    """`open_corpus(corpus).restore(story)`."""
    return open_corpus(corpus).restore(story)


def check_file(path: Path) -> None:
    """Check that a file may be written, before any work is done.

    Raises:
        FabulaError: it cannot be written.
    """
    try:
        if path.is_dir():
            raise FabulaError("this is a folder, not a file", where=path)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FabulaError(f"this file cannot be written ({error.strerror})", where=path) from None
