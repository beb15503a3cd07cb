"""JSON Lines, with one object per line, and JSON as one value: one story per row."""

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from fabula.corpus.formats.base import FilePlan, ReadingLog, Sample, not_utf8
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.lines import FileRange, decode
from fabula.corpus.tables.json_values import flat, load_value, rows_of, values_of
from fabula.errors import FabulaError

_OPENING = re.compile(r'\s*(?:\{\s*["\'}]|\[\s*(?:[{"\'\]]|\[\s*[\["{\]\d])|"\{\\"\w)')


class JsonLines(RowFormat):
    name = "jsonl"
    description = "JSON Lines, one story a row"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        lines = [line for line in sample.text.lstrip("\ufeff").split("\n") if line.strip()]
        if not lines or not _OPENING.match(lines[0]):
            return False
        if len(lines) == 1 and sample.is_whole:  # a single object may contain the rows
            return sample.suffix in (".jsonl", ".ndjson")
        return _is_value(lines[0]) or (len(lines) == 1 and lines[0].lstrip()[0] == "{")

    def can_cut(self, plan: FilePlan) -> bool:
        return plan.columns.group is None

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        with plan.open_lines(part, log) as lines:
            for line in lines:
                if line.strip():
                    yield lines.number, parse_row(line, lines.name, lines.number, lines.offset)


class Json(RowFormat):
    name = "json"
    description = "JSON, one story a record"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        text = sample.text.lstrip("\ufeff")
        return bool(_OPENING.match(text)) or _is_list_of_texts(text.strip().split("\n"))

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        with plan.open() as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            try:
                for line, value in values_of(text, plan.name):
                    for row in rows_of(value):
                        yield line, row
            except UnicodeDecodeError as error:
                raise not_utf8(error, plan.name) from None


def _is_list_of_texts(lines: Sequence[str]) -> bool:
    """Whether lines are texts in quotation marks with a comma after each, as a program's list has them."""
    first = [line.strip() for line in lines[:20]]
    return len(lines) > 2 and all(
        line[:1] == '"' and (line[-2:] == '",' or number == len(lines) - 1) and _is_value(line.rstrip(","))
        for number, line in enumerate(first)
    )


def _is_value(line: str) -> bool:
    try:
        load_value(line)
    except (ValueError, RecursionError):
        return False
    return True


def parse_row(raw: bytes, name: str, line: int, offset: int) -> dict[str, Any]:
    """The record in a line; a bare text, or a list of texts, becomes the column "text".

    Raises:
        FabulaError: the line has no record.
    """
    text = decode(raw, name, line, offset)
    try:
        row = load_value(text)
    except ValueError as error:
        raise FabulaError(f"this is not valid JSON: {error}", where=name, line=line) from None
    except RecursionError:
        raise FabulaError("this JSON is nested too deeply", where=name, line=line) from None
    if isinstance(row, str) or (
        isinstance(row, list) and row and all(isinstance(item, str | dict) for item in row)
    ):
        return {"text": row}
    if not isinstance(row, dict):
        raise FabulaError(
            "this line is not a record",
            where=name,
            line=line,
            hint='each line should be like {"text": "..."}',
        )
    return flat(row)
