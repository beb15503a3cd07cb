"""CSV and TSV with a header line."""

import csv
from collections.abc import Iterator

from fabula.corpus import lines as limits
from fabula.corpus.formats.base import FilePlan, ReadingLog, Row, RowFormat, Sample
from fabula.corpus.lines import FileRange, Lines, decode, too_long
from fabula.errors import FabulaError


class Csv(RowFormat):
    name = "csv"
    description = "CSV (or TSV) with a header line, one story a row"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        return sample.suffix in (".csv", ".tsv")

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        limit = csv.field_size_limit(limits.MAX_STORY_BYTES)
        try:
            with plan.open_lines(part, log) as lines:
                yield from _rows(lines)
        finally:
            csv.field_size_limit(limit)


def _rows(lines: Lines) -> Iterator[Row]:
    def decoded() -> Iterator[str]:
        for line in lines:
            yield decode(line, lines.name, lines.number, lines.offset)

    feed = decoded()
    first = next(feed, "")
    delimiter = max(",;\t", key=first.count)

    def whole() -> Iterator[str]:
        yield first
        yield from feed

    reader = csv.reader(whole(), delimiter=delimiter)
    start = 1
    try:
        header = next(reader, [])
        start = reader.line_num + 1
        for values in reader:
            if values:
                yield start, dict(zip(header, values, strict=False))
            start = reader.line_num + 1
    except csv.Error as error:
        if "field larger than field limit" in str(error):
            raise too_long(lines.name, start) from None
        raise FabulaError(f"this is not valid CSV: {error}", where=lines.name, line=reader.line_num) from None
