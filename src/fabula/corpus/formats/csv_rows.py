"""CSV, TSV and similar tables, with one story per row."""

import io
import itertools
import re
from collections.abc import Iterator, Sequence

from fabula.corpus import lines as limits
from fabula.corpus.documents import is_divider
from fabula.corpus.formats.base import FilePlan, ReadingLog, Sample, not_utf8
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.gutenberg import GUTENBERG_HEAD
from fabula.corpus.lines import FileRange, too_long
from fabula.corpus.splitting.headings import CHAPTER, find_heading
from fabula.corpus.splitting.markers import find_markers
from fabula.corpus.tables.delimited import find_dialect, has_header, is_markdown, read_rows
from fabula.errors import FabulaError

_SAMPLE_LINES = 50_000
"""Number of lines from which the dialect is detected."""


class Csv(RowFormat):
    name = "csv"
    description = "CSV or TSV, one story a row"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        return (
            (sample.suffix in (".csv", ".tsv", ".tab", ".psv") and not _is_text(sample))
            or sample.text.startswith("sep=")
            or has_header(sample.text)
            or _has_tabs(sample.text)
            or _QUOTED_FIELDS.match(sample.text) is not None
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


def _is_text(sample: Sample) -> bool:
    """Whether a file with the name of a table is not a table in any dialect, but a text: a book of Project Gutenberg,
    chapters, dividers or marks between texts, or paragraphs with blank lines between them and no delimiter."""
    lines = sample.text.splitlines(keepends=True)
    first_lines = sample.text[:_TRIED_CHARS].splitlines(keepends=True)
    is_all = sample.is_whole and len(sample.text) <= _TRIED_CHARS
    marks = find_markers([sample.text[:_TRIED_CHARS]])
    if not marks and sum(not line.strip() for line in lines) < _MIN_BLANK:
        return False
    try:
        dialect = find_dialect(first_lines if is_all else first_lines[:-1], sample.name, whole=is_all)
    except FabulaError:
        first = next((line.strip() for line in lines if line.strip()), "")
        if GUTENBERG_HEAD.match(sample.text) or (marks and marks.start and first.startswith(marks.start)):
            return True
        is_prose = len(first.split()) > _FIELD_WORDS and first[-1] in ".!?…”’" and first[0] not in "\"'"
        has_fields = any(delimiter in first for delimiter in (";\t|" if is_prose else ",;\t|"))
        return _num_borders(lines) >= _MIN_BORDERS and not has_fields
    return not (dialect.delimiter or dialect.header)


def _num_borders(lines: Sequence[str]) -> int:
    """Number of chapter headings, also of Markdown, and dividers between blank lines."""
    apart = [
        line.strip()
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False)
        if not (before + after).strip()
    ]
    headings = [heading for line in apart if (heading := find_heading(line, False))]
    num_marked = sum(is_divider(line) or re.match(r"#{1,3} \S", line) is not None for line in apart)
    return num_marked + sum(heading.level == CHAPTER for heading in headings)


_FIELD_WORDS = 8
"""A first line with more words that ends like a sentence is prose, and not the names of columns."""

_TRIED_CHARS = 1 << 16
"""Characters in which marks and a dialect are sought; when the file is read, its dialect is found in more of them."""

_MIN_BLANK, _MIN_BORDERS = 3, 3


def _has_tabs(text: str) -> bool:
    """Whether each line has the same number of tabs, and a title before the first one (no number, time or name that
    recurs): a table, whatever the file's name."""
    lines = text.rstrip("\n").split("\n")[:_TABBED_LINES]
    firsts = {line.partition("\t")[0].strip() for line in lines}
    return (
        len(lines) > 2
        and len({line.count("\t") for line in lines}) == 1
        and "\t" in lines[0]
        and len(firsts) >= 0.8 * len(lines)
        and not any(re.search(r"\d\d:\d\d|^\W*\d*\W*$|^__label__", first) for first in firsts)
    )


_TABBED_LINES = 200
_QUOTED_FIELDS = re.compile(r'\ufeff?(?:"?\w{1,30}"?\n)?(?:"(?:[^"]|""){150,}"[ \t]*\n\s*){3}')
"""Long texts in quotation marks, one after another: a table with one column."""
