"""The common part of formats with one story per row."""

import itertools
import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from fabula.corpus import lines as limits
from fabula.corpus.formats.base import (
    SPLIT_NAMES,
    FilePlan,
    Format,
    ReaderRemoval,
    ReadingLog,
    make_story,
    part_stories,
)
from fabula.corpus.inputs import valid_unicode
from fabula.corpus.lines import FileRange, too_long
from fabula.corpus.sources.writing_prompts import is_tokenised, restore
from fabula.corpus.splitting.cut import Part
from fabula.corpus.tables.columns import Columns
from fabula.corpus.tables.values import CellText, cell_texts, plain_text
from fabula.errors import FabulaError
from fabula.story import Story

Row = tuple[int, dict[str, Any]]
"""Line (or row number, see `RowFormat.unit`) where a row starts, and its values by column."""

_REMOVED = re.compile(
    r"\W*(?:removed|deleted|data missing)(?: by (?:user|moderators?|reddit))?\W*", re.IGNORECASE
)
"""What sites put in place of a text that its author or a moderator deleted."""


_NO_VALUE = re.compile(r"\\N|NULL|None|NaN|#?N/A", re.IGNORECASE)
"""What databases and spreadsheets write where there is no text."""

_BOTS = ("AutoModerator",)
"""Authors of posts that are not stories."""

_TAG = re.compile(r"\s*[\[(]\s*[A-Z]{2}\s*[\])]\s*")
"""The kind of a prompt on Reddit: "[WP]", tokenised also "[ WP ]"."""


class RowFormat(Format):
    """A format with one story per row, or several if a cell holds a list of chapters."""

    unit: ClassVar[str] = "line"
    """What `Story.source_line` counts: "line" or "row"."""

    @abstractmethod
    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        """The rows that begin in a range, in order; the file is read only as far as rows are requested."""

    def stories(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Story]:
        rows = self.rows(plan, part, log)
        if plan.columns.group is not None:
            rows = _joined_rows(rows, plan, log)
        for number, row in rows:
            found = list(row_stories(row, plan.columns, plan.name, number, self.unit))
            if not found:
                log.removals.append(_no_story(row, plan, number))
            if plan.columns.is_log:
                for story in found:
                    yield from part_stories([Part(story.title, story.text, number)], plan, log)
            else:
                yield from found


def _joined_rows(rows: Iterator[Row], plan: FilePlan, log: ReadingLog) -> Iterator[Row]:
    """Rows in which those of one story are joined to one."""
    columns = plan.columns
    (column,), is_log = columns.text, columns.is_log
    last: dict[str, Any] = {}

    def key(row: Row) -> list[Any]:  # an empty cell, as of merged cells, repeats the one above
        last.update(
            (name, row[1][name]) for name in columns.group or () if row[1].get(name) not in (None, "")
        )
        return list(last.values())

    for _, group in itertools.groupby(rows, key=key):
        first: Row | None = None
        texts: list[str] = []
        size = 0
        for number, row in group:
            value = row.get(column)
            if is_log and (_is_notice(row) or not isinstance(value, str)):
                log.removals.append(ReaderRemoval(plan.name, number, "chat_line", str(value or "")))
            elif isinstance(value, str) and value.strip():
                first = first or (number, row)
                texts.append(plain_text(value, columns.formats[0]).strip())
                size += len(value)
                if size > limits.MAX_STORY_BYTES:
                    raise too_long(plan.name, first[0])
        if first:
            yield first[0], {**first[1], column: columns.joint.join(texts)}


def row_stories(
    row: dict[str, Any], columns: Columns, name: str, number: int, unit: str = "line"
) -> Iterator[Story]:
    """The stories in a row: none if its text is empty or was deleted, several if it is a list of chapters.

    Raises:
        FabulaError: the row has no such column, or its text is missing.
    """
    if row.get("author") in _BOTS or _is_notice(row):
        return
    found = _row_texts(row, columns, name, number, unit)
    own_title, split = (row.get(column) if column else None for column in (columns.title, columns.split))
    for part, piece in enumerate(found, 1):
        text = piece.text.strip()
        if is_tokenised([text]):
            text = restore(text)
        if any(columns.marks):
            text = text.removeprefix(columns.marks[0]).removesuffix(columns.marks[1]).strip()
        if not text or _REMOVED.fullmatch(text) or _NO_VALUE.fullmatch(text):
            continue
        if len(text) > limits.MAX_STORY_BYTES:
            raise too_long(name, number)
        title = piece.title or (own_title if isinstance(own_title, str) else "")
        known = SPLIT_NAMES.get(split.strip().lower(), "") if isinstance(split, str) else ""
        story = make_story(text, name, number, title=title.strip(), split=known)
        if columns.prompt:
            story = replace(story, prompt=prompt_of(row.get(columns.prompt)))
        yield replace(story, book=f"{name}:{number}", part=part) if len(found) > 1 else story


def _is_notice(row: dict[str, Any]) -> bool:
    """Whether a row is a message by a chat program (Slack), such as "... has joined the channel"."""
    subtype = row.get("subtype")
    return bool(subtype) and row.get("type") == "message" and subtype not in _BY_PEOPLE


_BY_PEOPLE = ("me_message", "file_share", "thread_broadcast")


def prompt_of(value: Any) -> str:
    """A prompt in the form for training: on one line, without the tag that forums put before it ("[WP]")."""
    text = valid_unicode(plain_text(value, "plain"))
    return " ".join(_TAG.sub("", text).removesuffix("###").split())


def _row_texts(row: dict[str, Any], columns: Columns, name: str, number: int, unit: str) -> list[CellText]:
    found: list[CellText] = []
    for column, format in zip(columns.text, columns.formats, strict=True):
        value = row.get(column)
        if value is None and column in row:
            continue
        if not isinstance(value, str | list | dict):
            what = "is not text" if column in row else "is missing"
            known = ", ".join(str(key) for key in row)
            raise FabulaError(
                f"column {column!r} {what}" + (f" in {unit} {number:,}" if unit != "line" else ""),
                where=name,
                line=number if unit == "line" else None,
                hint=f"name the text's column with --column (this {unit} has: {known})",
            )
        found += cell_texts(value, format)
    if len(columns.text) > 1:
        return [CellText(columns.joint.join(piece.text.strip() for piece in found))] if found else []
    return found


def _no_story(row: dict[str, Any], plan: FilePlan, number: int) -> ReaderRemoval:
    values = [value for column in plan.columns.text if isinstance(value := row.get(column), str)]
    text = " ".join(values).strip()
    reason = (
        "bot"
        if row.get("author") in _BOTS or _is_notice(row)
        else "removed-post"
        if text and not _NO_VALUE.fullmatch(text)
        else "empty-row"
    )
    return ReaderRemoval(plan.name, number, reason, text)
