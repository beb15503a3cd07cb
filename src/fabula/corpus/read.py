"""Open what the user names, find out its format, and read its stories as a stream.

source = open_stories("stories.txt")
print(source.description)
for story in source:
    ...
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fabula.corpus import lines as limits
from fabula.corpus import remote
from fabula.corpus.encodings import UTF8, check_encoding, is_utf8
from fabula.corpus.formats.base import (
    SPLIT_NAMES,
    FilePlan,
    ReadingLog,
    Sample,
    valid_unicode,
)
from fabula.corpus.formats.hub import hub_rows, is_hub, load_hub
from fabula.corpus.formats.rows import RowFormat, row_stories
from fabula.corpus.formats.table import FORMATS
from fabula.corpus.inputs import InputFile, input_file, read_up_to
from fabula.corpus.lines import FileRange
from fabula.corpus.splitting import Split, choose_split, named_split
from fabula.corpus.tables.columns import NO_COLUMNS, Columns, choose_columns
from fabula.errors import FabulaError, did_you_mean
from fabula.files import fingerprint, hash_file
from fabula.story import Story

SAMPLE_BYTES = 1 << 20
"""Bytes of a file that its format is detected by."""

_SAMPLE_ROWS = 200
_ENDINGS = (".txt", ".text", ".md", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class StorySource:
    """Stories that can be read, as often as one likes.

    Attributes:
        path: what the user named.
        description: one line for the reader: what was found, and why it is read so.
        plans: how each file is read, in reading order; none for a hub dataset.
        columns: of a hub dataset.
    """

    path: str
    description: str
    plans: tuple[FilePlan, ...] = ()
    columns: Columns = NO_COLUMNS

    @cached_property
    def fingerprint(self) -> str:
        """Hash over the contents and names of the files (not their place) and over the way they are read."""
        if is_hub(self.path):
            contents: list[Any] = [
                [split, len(dataset), str(dataset.features), sorted(dataset.info.download_checksums or {})]
                for split, dataset in self._hub
            ]
            return fingerprint([contents, repr(self.columns)])
        hashed = remote.stamp if remote.is_url(self.path) else hash_file
        return fingerprint(
            [
                [
                    plan.name,
                    hashed(plan.file.path),
                    plan.format,
                    plan.encoding,
                    repr(plan.columns),
                    repr(plan.split),
                ]
                for plan in self.plans
            ]
        )

    @property
    def title(self) -> str:
        """What the user named, without the folders it is in."""
        local = not is_hub(self.path) and not remote.is_url(self.path)
        return Path(self.path).resolve().name if local else self.path

    @cached_property
    def num_bytes(self) -> int:
        """Size on the disk; 0 for a hub dataset."""
        return sum(plan.file.num_bytes for plan in self.plans)

    def __iter__(self) -> Iterator[Story]:
        for number in range(len(self.plans) or 1):
            yield from self.read(FileRange(number, 0, None))

    def ranges(self) -> Iterator[FileRange]:
        """The source in parts that can be read at the same time, in order.

        A file is cut into ranges of `lines.RANGE_BYTES` where its format allows it.
        """
        for number, plan in enumerate(self.plans):
            if self.can_cut(number):
                size = plan.file.num_bytes
                for start in range(0, max(size, 1), limits.RANGE_BYTES):
                    yield FileRange(number, start, start + limits.RANGE_BYTES)
            else:
                yield FileRange(number, 0, None)
        if not self.plans:
            yield FileRange(0, 0, None)

    def range_bytes(self, part: FileRange) -> int:
        """Bytes of a range of a file that is cut."""
        size = self.plans[part.file].file.num_bytes
        return (size if part.end is None else min(part.end, size)) - part.start

    def can_cut(self, file: int) -> bool:
        """Whether file number `file` can be read from any byte range."""
        plan = self.plans[file]
        return not plan.file.compression and is_utf8(plan.encoding) and FORMATS[plan.format].can_cut(plan)

    def read(self, part: FileRange, log: ReadingLog | None = None) -> Iterator[Story]:
        """The stories that begin in a range. Lines are counted from the range's first line.

        Args:
            part: one of `ranges`, or a whole file.
            log: is told the number of lines and what was left out; complete once all stories were read.
        """
        if not self.plans:
            return self._hub_stories()
        plan = self.plans[part.file]
        return FORMATS[plan.format].stories(plan, part, log or ReadingLog())

    @cached_property
    def _hub(self) -> list[tuple[str, Any]]:
        return load_hub(self.path)

    def _hub_stories(self) -> Iterator[Story]:
        for split, number, row in hub_rows(self._hub):
            for story in row_stories(row, self.columns, f"{self.path}/{split}", number, unit="row"):
                yield replace(story, split=story.split or SPLIT_NAMES.get(split, ""))

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_hub"}


def open_stories(
    source: str | Path,
    *,
    format: str | None = None,
    column: str | None = None,
    split_at: str | None = None,
    encoding: str | None = None,
) -> StorySource:
    """Find out how stories are written in a file or folder. Reads no more than the beginning.

    Args:
        source: a file, also compressed, a folder of files, a URL of either that fsspec reads, or `hub:user/dataset`.
        format: a name in `table.FORMATS`, where what is detected is wrong.
        column: name of the text's column; found where it is not given.
        split_at: where stories begin in text and documents: a name of `splitting.SPLIT_NAMES`, or a line (or a regular
            expression for one) that stands between two stories.
        encoding: of text files, as Python names it.

    Raises:
        FabulaError: there is nothing to read, or no way to read it. Some faults show only while reading.
    """
    if format is not None and format not in FORMATS:
        raise FabulaError(f"unknown format {format!r}", where="--format", hint=did_you_mean(format, FORMATS))
    if encoding is not None:
        check_encoding(encoding)
    if is_hub(source):
        return _open_hub(str(source), column)
    path = remote.path_of(source)
    files = _find_files(path)
    plans, samples = [], []
    for file in files:
        sample = _sample(file, encoding or UTF8)
        plans.append(FilePlan(file, format or _detect(sample).name, sample.encoding))
        samples.append(sample)
    kinds = sorted({plan.format for plan in plans})
    if len(kinds) > 1:
        raise FabulaError(
            f"this folder holds files of several kinds ({', '.join(kinds)})",
            where=path,
            hint="keep one kind, or give the files one by one",
        )
    if all(not sample.head.strip() for sample in samples):
        what = "there is no story in this file" if len(files) == 1 else "there is no story in these files"
        raise FabulaError(what, where=path)
    chosen = FORMATS[kinds[0]]
    described = chosen.description
    if isinstance(chosen, RowFormat):
        columns = _find_columns(plans, column, str(source))
        plans = [replace(plan, columns=columns) for plan in plans]
        described += f", {columns.describe()}"
    elif column:
        raise FabulaError(f"{described} has no columns", where=path, hint="leave --column out")
    else:
        split, why = _find_split(samples, split_at, path.is_dir())
        plans = [replace(plan, split=split) for plan in plans]
        described += f", {split.description} ({why})"
    where = f"{len(files):,} files, " if path.is_dir() else ""
    return StorySource(str(source), where + described, tuple(plans))


def _sample(file: InputFile, encoding: str) -> Sample:
    with file.open() as opened:
        head = read_up_to(opened, SAMPLE_BYTES + 1)
    return Sample(file.name, head[:SAMPLE_BYTES], len(head) <= SAMPLE_BYTES, encoding)


def _detect(sample: Sample) -> Any:
    for format in FORMATS.values():
        if format.detect(sample):
            return format
    utf16 = sample.head[:2] in (b"\xff\xfe", b"\xfe\xff")
    raise FabulaError(
        "this is no plain text (it holds zero bytes)",
        where=sample.name,
        hint="try --encoding utf-16" if utf16 else "stories are read from text, .jsonl, .csv and .parquet",
    )


def _find_split(samples: Sequence[Sample], split_at: str | None, is_folder: bool) -> tuple[Split, str]:
    lines = next((sample.text.splitlines() for sample in samples if sample.text.strip()), [])
    if split_at is not None:
        return named_split(split_at, lines), "named by you"
    return choose_split(lines, is_folder)


def _find_files(path: Path) -> list[InputFile]:
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                if not file.read(1):
                    raise FabulaError("this file is empty", where=path, hint="name a file with stories in it")
            return [input_file(path, valid_unicode(path.name))]
        found = []
        for file in path.rglob("*"):
            inner = file.with_suffix("") if file.suffix in (".gz", ".zst") else file
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if inner.suffix.lower() in _ENDINGS and not hidden and file.is_file():
                found.append(input_file(file, valid_unicode(file.relative_to(path).as_posix())))
    except FileNotFoundError:
        hint = "check the spelling; the path is taken from the folder you are in"
        raise FabulaError("no such file or folder", where=path, hint=hint) from None
    except OSError as error:
        raise FabulaError(f"this cannot be read ({error.strerror})", where=path) from None
    if not found:
        raise FabulaError(
            "nothing in this folder can be read",
            where=path,
            hint=f"stories are read from {', '.join(sorted(_ENDINGS))} (also .gz, .zst)",
        )
    return sorted(found, key=lambda file: file.name)


def _find_columns(plans: Sequence[FilePlan], column: str | None, where: str) -> Columns:
    """The columns of text, title and split, from the first rows of the first file with any."""
    for plan in plans:
        format = FORMATS[plan.format]
        assert isinstance(format, RowFormat)
        found = itertools.islice(format.rows(plan, FileRange(0, 0, None), ReadingLog()), _SAMPLE_ROWS)
        rows = [row for _, row in found]
        if rows:
            return choose_columns(
                list(dict.fromkeys(key for row in rows for key in row)), rows, column, where
            )
    raise FabulaError("there is no story in this file", where=where)


def _open_hub(source: str, column: str | None) -> StorySource:
    splits = load_hub(source)
    _, first = splits[0]
    rows = [dict(row) for row in itertools.islice(first, _SAMPLE_ROWS)]
    if not rows:
        raise FabulaError("this dataset has no rows", where=source)
    columns = choose_columns(list(first.column_names), rows, column, source)
    parts = ", ".join(f"{name} {len(dataset):,}" for name, dataset in splits)
    description = f"hub dataset {source.removeprefix('hub:')} ({parts} rows), {columns.describe()}"
    result = StorySource(source, description, columns=columns)
    result.__dict__["_hub"] = splits
    return result
