"""Opens the user's input, detects its format, and reads its stories as a stream.

source = open_stories("stories.txt")
print(source.description)
for story in source:
    ...
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from fabula.corpus import lines as limits
from fabula.corpus import remote
from fabula.corpus.detect import PROMPTS, FoundFiles, find_formats, plan_prose
from fabula.corpus.encodings import check_encoding
from fabula.corpus.formats.base import SPLIT_NAMES, FilePlan, ReaderRemoval, ReadingLog
from fabula.corpus.formats.hub import hub_rows, is_hub, load_hub
from fabula.corpus.formats.rows import RowFormat, prompt_of, row_stories
from fabula.corpus.formats.table import FORMATS
from fabula.corpus.inputs import NO_FILE, find_inputs
from fabula.corpus.lines import FileRange
from fabula.corpus.splitting.split import check_split_at
from fabula.corpus.tables.columns import NO_COLUMNS, Columns, NoText, choose_columns
from fabula.errors import FabulaError, did_you_mean
from fabula.files import fingerprint, hash_path
from fabula.story import Story

_SAMPLE_ROWS = 200


@dataclass(frozen=True)
class StorySource:
    """Stories that can be read any number of times.

    Attributes:
        path: the input that the user named.
        description: one line for the user: what was found, and why it is read this way.
        plans: how each file is read, in reading order; none for a hub dataset.
        columns: the columns of a hub dataset.
        passed_over: files that are not read; `text` says why.
        has_title_prompts: whether the title of each story is its prompt.
    """

    path: str
    description: str
    plans: tuple[FilePlan, ...] = ()
    columns: Columns = NO_COLUMNS
    passed_over: tuple[ReaderRemoval, ...] = ()
    has_title_prompts: bool = False

    @cached_property
    def fingerprint(self) -> str:
        """Hash over the contents and names of the files (not their folder) and over the way they are read."""
        if is_hub(self.path):
            contents: list[Any] = [
                [split, len(dataset), str(dataset.features), sorted(dataset.info.download_checksums or {})]
                for split, dataset in self._hub
            ]
            return fingerprint([contents, repr(self.columns)])
        hashed = {plan.file.path: "" for plan in self.plans}
        for path in hashed:
            hashed[path] = remote.stamp(path) if remote.is_url(path) else hash_path(path)
        return fingerprint(
            [
                *(
                    [plan.name, hashed[plan.file.path], repr(replace(plan, file=NO_FILE))]
                    for plan in self.plans
                ),
                self.has_title_prompts,
            ]
        )

    @property
    def title(self) -> str:
        """The name of the input, without its folders."""
        local = not is_hub(self.path) and not remote.is_url(self.path)
        return Path(self.path).resolve().name if local else self.path

    @property
    def unused_columns(self) -> list[str]:
        """Columns of the tables that hold texts and are not read."""
        tables = [self.columns, *(plan.columns for plan in self.plans)]
        return list(dict.fromkeys(name for columns in tables for name in columns.unused))

    @cached_property
    def num_bytes(self) -> int:
        """Size on the disk; 0 for a hub dataset."""
        return sum(plan.file.num_bytes for plan in self.plans)

    def __iter__(self) -> Iterator[Story]:
        for number in range(len(self.plans) or 1):
            yield from self.read(FileRange(number, 0, None))

    def ranges(self) -> Iterator[FileRange]:
        """Parts of the source, in order, that can be read at the same time.

        A file is cut into ranges of `lines.RANGE_BYTES` if its format allows it.
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
        is_on_disk = not plan.file.compression and not plan.file.archive
        return is_on_disk and plan.is_plain and FORMATS[plan.format].can_cut(plan)

    def read(self, part: FileRange, log: ReadingLog | None = None) -> Iterator[Story]:
        """The stories that begin in a range. Lines are counted from the range's first line.

        Args:
            part: one of `ranges`, or a whole file.
            log: receives the number of lines and what was left out; complete once all stories were read.
        """
        if not self.plans:
            return self._hub_stories()
        plan = self.plans[part.file]
        stories = FORMATS[plan.format].stories(plan, part, log or ReadingLog())
        if self.has_title_prompts:
            return (replace(story, prompt=story.prompt or prompt_of(story.title)) for story in stories)
        return stories

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
    sources: str | Path | Sequence[str | Path],
    *,
    format: str | None = None,
    column: str | None = None,
    split_at: str | None = None,
    encoding: str | None = None,
    prompt_column: str | None = None,
) -> StorySource:
    """Detect how stories are stored in files and folders. Reads only the beginning of each file, but all of a document.

    Args:
        sources: a file, perhaps compressed, an archive, a folder, a URL of these that fsspec can read, or
            `hub:user/dataset`; or several of them, except datasets.
        format: a name in `table.FORMATS`, if the detected one is wrong.
        column: name of the column with the text; detected if None.
        split_at: where stories begin in text and documents: a name of `split.SPLIT_AT`, or the line between two
            stories, or a regular expression for it.
        encoding: encoding of text files, as Python names it; detected for each file if None.
        prompt_column: name of the column with each story's prompt; "title" also works for text and documents.

    Raises:
        FabulaError: there is nothing to read, no way to read it, or two equally likely ways. Some errors are raised
            only while reading.
    """
    if format is not None and format not in FORMATS:
        raise FabulaError(f"unknown format {format!r}", where="--format", hint=did_you_mean(format, FORMATS))
    if encoding is not None:
        check_encoding(encoding)
    if split_at is not None:
        check_split_at(split_at)
    named = [sources] if isinstance(sources, str | Path) else list(sources)
    if len(named) == 1 and is_hub(named[0]):
        return _open_hub(str(named[0]), column, prompt_column)
    if any(is_hub(source) for source in named):
        raise FabulaError("a hub dataset can only be read alone", where=next(filter(is_hub, named)))
    files, skipped = find_inputs(named)
    title = str(named[0]) if len(named) == 1 else f"{Path(named[0]).name} and {len(named) - 1} more"
    found = find_formats(files, format, encoding)
    if prompt_column:
        found.passed_over = [one for one in found.passed_over if one.text != PROMPTS]
    plans, described = _plan(found, NamedColumns(column, prompt_column), split_at, title)
    for name in skipped:
        found.pass_over(name, "empty, hidden or a backup")
    if found.passed_over:
        count = f"{len(found.passed_over)} file" + ("s" if len(found.passed_over) > 1 else "")
        described += f"; passed over {count}"
    where = f"{len(plans):,} files, " if len(plans) > 1 else ""
    return StorySource(
        title,
        where + described,
        tuple(plans),
        passed_over=tuple(found.passed_over),
        has_title_prompts=prompt_column == "title",
    )


class NamedColumns(NamedTuple):
    """The columns of a table that the user names."""

    text: str | None
    prompt: str | None


def _plan(
    found: FoundFiles, named: NamedColumns, split_at: str | None, title: str
) -> tuple[list[FilePlan], str]:
    """How each file is read, in the order of the files, and a description."""
    tables = [plan for plan in found.plans if isinstance(FORMATS[plan.format], RowFormat)]
    prose = [plan for plan in found.plans if plan not in tables]
    if not found.plans or all(not sample.head.strip() for sample in found.samples.values()):
        what = (
            "there is no story in this file" if len(found.plans) < 2 else "there is no story in these files"
        )
        passed_over = ", ".join(f"{one.source}, {one.text}" for one in found.passed_over[:3])
        skipped = f" (not read: {passed_over})" if passed_over else ""
        raise FabulaError(what + skipped, where=title)
    if not tables and (named.text or named.prompt not in (None, "title")):
        option = "--column" if named.text else "--prompt-column"
        hint = f"leave {option} out" + ("" if named.text else ", or name title")
        raise FabulaError(f"{FORMATS[prose[0].format].description} has no columns", where=title, hint=hint)
    planned: dict[str, FilePlan] = {}
    described = []
    if prose:
        for _, group in itertools.groupby(prose, key=lambda plan: plan.file.input):
            chosen, words = plan_prose(list(group), found.samples, split_at)
            planned |= {plan.name: plan for plan in chosen}
            described += [words] if words not in described else []
    if tables:
        chosen = _plan_tables(tables, found, named, title)
        planned |= {plan.name: plan for plan in chosen}
        kinds = sorted({FORMATS[plan.format].description for plan in chosen})
        columns = dict.fromkeys(plan.columns.describe() for plan in chosen)
        if kinds:
            described.append(f"{', '.join(kinds)}, {' or '.join(columns)}")
    plans = [planned[plan.name] for plan in found.plans if plan.name in planned]
    if len(plans) == 1 and plans[0].columns.is_log:
        plans = [replace(plans[0], is_alone=True)]
    if len(plans) == 1 and prose and plans[0].split.kind == "file":
        plans = [replace(plans[0], is_alone=True)]
        why = "named by you" if split_at else "no line separates stories; name one with --split-at"
        kind = FORMATS[plans[0].format].description
        described = [f"{kind}: one text, whose last tenth can be held out ({why})"]
    return plans, " and ".join(described)


_FEW_WORDS = 15
"""A table whose texts have fewer words, and a quarter of those of the others, describes stories that are in other files."""


def _plan_tables(
    tables: Sequence[FilePlan], found: FoundFiles, named: NamedColumns, title: str
) -> list[FilePlan]:
    """How each table is read. Among other files, those that hold no story are passed over, and among documents also those
    whose columns cannot be found.

    Raises:
        FabulaError: the columns of a table cannot be found.
    """
    planned: list[FilePlan] = []
    is_alone, has_prose = len(found.plans) == 1, len(found.plans) > len(tables)
    for plan in tables:
        try:
            columns = _find_columns(plan, named, title if is_alone else plan.name)
        except FabulaError as error:
            if not has_prose and (is_alone or not isinstance(error, NoText)):
                raise
            found.pass_over(plan.name, error.what)
            continue
        planned.append(replace(plan, columns=columns))
    has_stories = has_prose or any(plan.columns.is_log for plan in planned)
    most = max((plan.columns.typical_words for plan in planned), default=0.0)
    few = _FEW_WORDS if has_stories else min(_FEW_WORDS, most / 4)
    made: list[FilePlan] = []
    parts: Counter[str] = Counter()
    for plan in planned:
        columns = plan.columns
        if not named.text and not columns.is_log and columns.typical_words < few:
            found.pass_over(plan.name, f"its column {columns.text[0]!r} is too short for stories")
        elif columns.is_log and len(planned) > 1:  # the days of a channel
            folder = str(PurePosixPath(plan.name).parent)
            parts[folder] += 1
            made.append(replace(plan, book=f"{folder}/", part=parts[folder]))
        else:
            made.append(plan)
    if not made and not has_stories:
        raise NoText("there is no story in these files", where=title)
    return made


def _find_columns(plan: FilePlan, named: NamedColumns, where: str) -> Columns:
    """The columns that are read, from the first rows."""
    format = FORMATS[plan.format]
    assert isinstance(format, RowFormat)
    found = itertools.islice(format.rows(plan, FileRange(0, 0, None), ReadingLog()), _SAMPLE_ROWS)
    rows = [row for _, row in found]
    if not rows:
        raise NoText("there is no story in this file", where=where)
    names = list(dict.fromkeys(key for row in rows for key in row))
    is_title = named.prompt == "title" and "title" not in names  # then the title may have another name
    return choose_columns(names, rows, named.text, where, None if is_title else named.prompt)


def _open_hub(source: str, column: str | None, prompt_column: str | None) -> StorySource:
    splits = load_hub(source)
    _, first = splits[0]
    rows = [dict(row) for row in itertools.islice(first, _SAMPLE_ROWS)]
    if not rows:
        raise FabulaError("this dataset has no rows", where=source)
    columns = choose_columns(list(first.column_names), rows, column, source, prompt_column)
    parts = ", ".join(f"{name} {len(dataset):,}" for name, dataset in splits)
    description = f"hub dataset {source.removeprefix('hub:')} ({parts} rows), {columns.describe()}"
    result = StorySource(source, description, columns=columns)
    result.__dict__["_hub"] = splits
    return result
