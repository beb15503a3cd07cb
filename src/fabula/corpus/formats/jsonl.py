"""JSON Lines: an object a line."""

import json
from collections.abc import Iterator
from typing import Any

from fabula.corpus.formats.base import FilePlan, ReadingLog, Row, RowFormat, Sample
from fabula.corpus.lines import FileRange, decode
from fabula.errors import FabulaError


class JsonLines(RowFormat):
    name = "jsonl"
    description = "JSON Lines, one story a row"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        return sample.suffix in (".jsonl", ".ndjson", ".json")

    def can_cut(self, plan: FilePlan) -> bool:
        return True

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        with plan.open_lines(part, log) as lines:
            for line in lines:
                if not line.strip():
                    continue
                if lines.offset == 0 and line.lstrip().startswith(b"["):
                    raise FabulaError(
                        "this is one JSON array, not JSON Lines",
                        where=lines.name,
                        line=1,
                        hint="write one object a line, for example with: jq -c '.[]'",
                    )
                yield lines.number, parse_row(line, lines.name, lines.number, lines.offset)


def parse_row(raw: bytes, name: str, line: int, offset: int) -> dict[str, Any]:
    """The object in a line.

    Raises:
        FabulaError: there is none.
    """
    text = decode(raw, name, line, offset)
    try:
        row = json.loads(text)
    except ValueError as error:
        raise FabulaError(f"this is not valid JSON: {error}", where=name, line=line) from None
    except RecursionError:
        raise FabulaError("this JSON is nested too deeply", where=name, line=line) from None
    if not isinstance(row, dict):
        raise FabulaError(
            "this line is no JSON object",
            where=name,
            line=line,
            hint='each line should be like {"text": "..."}',
        )
    return row
