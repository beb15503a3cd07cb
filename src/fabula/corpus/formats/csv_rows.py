"""CSV, TSV and similar tables, with one story per row."""

import io
import itertools
import re
from collections.abc import Iterator

from fabula.corpus import lines as limits
from fabula.corpus.formats.base import FilePlan, ReadingLog, Sample, not_utf8
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.lines import FileRange, too_long
from fabula.corpus.tables.columns import TEXT_COLUMNS, TITLE_COLUMNS
from fabula.corpus.tables.delimited import find_dialect, is_markdown, read_rows

_BESIDE = {*TITLE_COLUMNS, "id", "author", "date", "url", "score", "split", "index"}
"""Names of columns that are common next to the text: a text and such a column make a table, whatever the file's
name."""

_SAMPLE_LINES = 50_000
"""Number of lines from which the dialect is detected."""


class Csv(RowFormat):
    name = "csv"
    description = "CSV or TSV, one story a row"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        return (
            sample.suffix in (".csv", ".tsv", ".tab", ".psv")
            or _has_header(sample.text)
            or is_markdown(sample.text.lstrip().split("\n", 3))
        )

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        with plan.open() as file:
            try:
                text = io.TextIOWrapper(
                    file, encoding="utf-8-sig", newline=""
                )  # a carriage return may end a line
                lines = _bounded_lines(text, plan.name)
                head = list(itertools.islice(lines, _SAMPLE_LINES))
                dialect = find_dialect(head, plan.name, whole=len(head) < _SAMPLE_LINES)
                yield from read_rows(itertools.chain(head, lines), dialect, plan.name)
            except UnicodeDecodeError as error:
                raise not_utf8(error, plan.name) from None


def _bounded_lines(text: io.TextIOWrapper, name: str) -> Iterator[str]:
    number = 0
    while line := text.readline(limits.MAX_STORY_BYTES + 1):
        number += 1
        if len(line) > limits.MAX_STORY_BYTES:
            raise too_long(name, number)
        yield line


def _has_header(text: str) -> bool:
    """Whether a file with another suffix begins with the names of a table's columns."""
    first = text.lstrip("\ufeff").partition("\n")[0].strip()
    for delimiter in (",", ";", "\t", "|"):
        names = [name.strip().strip('"').casefold() for name in first.split(delimiter)]
        plain = all(re.fullmatch(r"[\w .-]{1,30}", name) for name in names)
        if plain and len(set(names)) == len(names) > 1 and {*names} & {*TEXT_COLUMNS} and {*names} & _BESIDE:
            return True
    return False
