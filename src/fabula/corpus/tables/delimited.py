"""Delimited text (CSV, TSV): finds the dialect of a file by trying each, and reads its rows.

Programs claim to follow RFC 4180; real files have semicolons, tabs or bars, no header, unquoted commas in prose,
quotation marks that are never closed, and three kinds of line ends.
"""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from fabula.corpus import lines as limits
from fabula.corpus.lines import too_long
from fabula.corpus.tables.columns import TEXT_COLUMNS, TITLE_COLUMNS, looks_like_header
from fabula.errors import FabulaError

Quoting = Literal["doubled", "spaced", "escaped", "single", "none", "markdown"]

_DELIMITERS = (",", ";", "\t", "|", "~", "^")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_EXCEL_HINT = re.compile(r"sep=(.)\s*")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The syntax of rows.

    Attributes:
        delimiter: separator of fields; "" if each line is a row with a single field.
        quoting: how a quotation mark is written inside a quoted field: doubled, after a backslash, or "none" where
            quotation marks are part of the text; "spaced" with a space before the quotation marks around fields; "single"
            with single ones; "markdown" is a table of Markdown.
        header: the columns' names; () if the file has no header line.
        num_fields: number of fields in each row. With `joins_rest`, everything after the delimiter number `num_fields`
            - 1 is one field: prose with unquoted delimiters.
        joins_rest: see `num_fields`.
        skip: lines before the header ("sep=;").
    """

    delimiter: str
    quoting: Quoting
    header: tuple[str, ...]
    num_fields: int
    joins_rest: bool = False
    skip: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        if self.header:
            return self.header
        return (
            tuple(f"column {number}" for number in range(1, self.num_fields + 1))
            if self.num_fields > 1
            else ("text",)
        )

    def describe(self) -> str:
        parts = (
            [f"fields apart by {_NAMES.get(self.delimiter, repr(self.delimiter))}"]
            if self.delimiter
            else ["a field a line"]
        )
        return ", ".join([*parts, *([] if self.header else ["no header line"])])


def find_dialect(lines: list[str], name: str, whole: bool) -> Dialect:
    """The dialect in which the first `lines` of a file (with line ends) make the best table.

    Args:
        whole: whether these are all lines of the file.

    Raises:
        FabulaError: they are not a table in any dialect.
    """
    if is_markdown(lines):
        names = [name.strip() for name in lines[0].strip().strip("|").split("|")]
        return Dialect("|", "markdown", _unique(names), len(names), skip=0)
    skip = 1 if lines and _EXCEL_HINT.fullmatch(lines[0]) else _preamble(lines)
    told = found[1] if lines and (found := _EXCEL_HINT.fullmatch(lines[0])) else ""
    lines = lines[skip:]
    if len(lines) > 2 and '{""ImportId""' in lines[2]:
        what = "lines 2 and 3 describe the columns, as Qualtrics writes them"
        raise FabulaError(
            what, where=name, line=2, hint="delete both, so that only the header line is above the rows"
        )
    if whole:
        _refuse_cut(lines, name, skip)
    tried = [
        found
        for delimiter in ([told] if told else _DELIMITERS)
        if delimiter not in "~^" or delimiter in "".join(lines[:1])
        for quoting in ("doubled", "spaced", "escaped", "single", "none")
        if (found := _try(lines, delimiter, quoting, whole)) is not None
    ]
    if tried:
        delimiter, quoting, rows, _ = max(tried, key=lambda one: one[3])
        header = looks_like_header(rows)
        width = (
            len(rows[0]) if header else max(Counter(map(len, rows)).items(), key=lambda found: found[1])[0]
        )
        return Dialect(delimiter, quoting, _unique(rows[0]) if header else (), width, skip=skip)
    return _unquoted(lines, name, skip)


def _refuse_cut(lines: list[str], name: str, skip: int) -> None:
    """
    Raises:
        FabulaError: the file ends within a field in quotation marks, and all before it is a table.
    """
    for delimiter in _DELIMITERS:
        if _try(lines, delimiter, "doubled", whole=True):
            return
        found = _try(lines, delimiter, "doubled", whole=False)
        if found and len(found[2]) > 1 and _has_quoted(_raw_fields(lines, delimiter)):
            line = sum(1 + "".join(row).count("\n") for row in found[2]) + 1 + skip
            what = "a quotation mark opens a field here and is never closed; the file may be cut short"
            raise FabulaError(
                what, where=name, line=line, hint="download or export it again, or close the quotation mark"
            )


def _raw_fields(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    return [line.strip().split(delimiter) for line in lines if line.strip()]


def is_markdown(lines: Sequence[str]) -> bool:
    """Whether this is a Markdown table: its second line consists of bars and dashes."""
    return len(lines) > 2 and bool(
        re.fullmatch(r"\s*\|?(?:\s*:?-{2,}:?\s*\|)+\s*(?::?-{2,}:?)?\s*", lines[1])
    )


def _preamble(lines: Sequence[str]) -> int:
    """Number of lines before the header that some programs write: comments, or one to five lines without a delimiter, the
    last one blank."""
    comments = next((number for number, line in enumerate(lines) if not line.startswith("# ")), 0)
    if comments and any(delimiter in lines[comments] for delimiter in _DELIMITERS):
        return comments
    blank = next((number for number, line in enumerate(lines[:6]) if not line.strip()), 0)
    if not blank or len(lines) < blank + 3 or '"' in "".join(lines[:blank]):
        return 0
    for delimiter in _DELIMITERS:
        names = lines[blank + 1].strip().split(delimiter)
        plain = len(names) > 1 and all(re.fullmatch(r'"?[\w .-]{1,30}"?', name) for name in names)
        if plain and not any(delimiter in line for line in lines[:blank]):
            return blank + 1
    return 0


_Tried = tuple[str, Quoting, list[list[str]], tuple[float, ...]]


def _try(lines: list[str], delimiter: str, quoting: Quoting, whole: bool) -> _Tried | None:
    """The rows of `lines` in a dialect, and their score; None if they are not a table in it."""
    rows: list[list[str]] = []
    unfinished = False
    try:
        with _long_fields():
            rows.extend(row for row in _reader(lines, delimiter, quoting) if row)
    except csv.Error as error:
        unfinished = not whole and "unexpected end" in str(error)
        # a field that is too long raises its error while reading
        if not unfinished and "field larger" not in str(error):
            return None
    if not rows:
        return None
    most = len(rows[0])
    rows = [row[:most] if len(row) > most and not "".join(row[most:]).strip() else row for row in rows]
    widths = Counter(map(len, rows))
    width, times = widths.most_common(1)[0]
    if width < 2:
        # Fields in quotation marks, one a line, are a table of one column.
        quoted = quoting != "none" and sum(line.startswith('"') for line in lines) >= 0.9 * (len(rows) - 1)
        if not quoted or times < len(rows) or (len(rows) < 2 and not (whole or unfinished)):
            return None
    elif times < 0.98 * len(rows) or (len(rows) > 1 and len(rows[0]) != width):
        return None
    if quoting == "escaped" and not any('\\"' in line for line in lines):
        return None
    if quoting == "none" and not any('"' in line for line in lines):
        return None  # the same as "doubled"
    around = {"single": f"{delimiter}'", "spaced": f'{delimiter} "'}.get(quoting, "")
    if around and sum(around in line for line in lines) < 0.9 * (len(rows) - 1):
        return None
    marks = sum(value.count('"') % 2 for row in rows for value in row)
    shares = times / len(rows)
    preferred = {"single": 3, "spaced": 3, "doubled": 2, "escaped": 1, "none": 0}[quoting]
    odd_none = quoting == "none" and sum(value[:1] == '"' for row in rows for value in row) > max(
        1, len(rows) // 10
    )
    return delimiter, quoting, rows, (not odd_none, width > 1, shares, preferred, width, -marks)


def _unquoted(lines: list[str], name: str, skip: int) -> Dialect:
    """The dialect of prose that has the delimiter in it but no quotation marks around it."""
    filled = [line.rstrip("\r\n") for line in lines if line.strip()]
    if not filled:
        raise FabulaError("there is no row in this table", where=name)
    has_quoted = _has_quoted([[line] for line in filled])
    for delimiter in _DELIMITERS:
        header = filled[0].split(delimiter)
        below = [line.split(delimiter, len(header) - 1) for line in filled[1:]]
        is_table = len(header) > 1 and below and all(len(row) == len(header) for row in below)
        if is_table and looks_like_header([header, *below]) and _is_prose_last(below):
            if not _has_quoted(below):
                return Dialect(delimiter, "none", _unique(header), len(header), joins_rest=True, skip=skip)
            has_quoted = True
    if has_header(filled[0]) or has_quoted or not _same_kind(filled):
        line, what = _first_fault(lines)
        hint = "write a quotation mark inside a field as two, or save the table as JSON Lines"
        raise FabulaError(what, where=name, line=line + skip, hint=hint)
    rows = [[line] for line in filled]
    header = looks_like_header(rows)
    return Dialect("", "none", (filled[0],) if header else (), 1, skip=skip)


def has_header(text: str) -> bool:
    """Whether a text begins with the names of a table's columns, whatever the file's name."""
    first = text.lstrip("\ufeff").partition("\n")[0].strip()
    for delimiter in _DELIMITERS:
        names = [name.strip().strip('"').casefold() for name in first.split(delimiter)]
        plain = all(re.fullmatch(r"[\w .-]{1,30}", name) for name in names)
        if plain and len(set(names)) == len(names) > 1 and {*names} & {*TEXT_COLUMNS} and {*names} & _BESIDE:
            return True
    return False


_BESIDE = {*TITLE_COLUMNS, "id", "author", "date", "url", "score", "split", "index"}
"""Names of columns that are common next to the text: a text and such a column make a table, whatever the file's
name."""


def _has_quoted(rows: list[list[str]]) -> bool:
    """Whether some fields are completely in quotation marks, perhaps with spaces behind them."""
    values = [value.rstrip() for row in rows for value in row]
    quoted = sum(value[:1] == '"' and (value[-1:] == '"' or bool(value.count('"') % 2)) for value in values)
    return quoted > max(1, 0.1 * len(rows))


def _is_prose_last(rows: list[list[str]]) -> bool:
    """Whether the last field holds the prose, so that surplus fields belong to it."""
    return sum(len(row[-1]) for row in rows) > 4 * sum(len(value) for row in rows for value in row[:-1])


def _same_kind(lines: list[str]) -> bool:
    """Whether all lines are prose of a similar kind, like the rows of one column."""
    lengths = sorted(len(line.split()) for line in lines[1:]) or [0]
    return lengths[len(lengths) // 10] >= 5


def _first_fault(lines: list[str]) -> tuple[int, str]:
    """The first line that does not fit the table, and why."""
    reader = _reader(lines, max(_DELIMITERS, key=lines[0].count), "doubled")
    start, width = 1, 0
    try:
        with _long_fields():
            for row in reader:
                width = width or len(row)
                if row and len(row) != width:
                    more = "more" if len(row) > width else "fewer"
                    return start, f"this row has {more} fields ({len(row)}) than the first line ({width})"
                start = reader.line_num + 1
    except csv.Error as error:
        return start, _csv_fault(error)
    return 1, "this is not a table: its rows have different numbers of fields"


def _csv_fault(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quotation mark opens a field here and is never closed"
    if "expected after" in str(error):
        return "there is a quotation mark inside a quoted field of this row"
    return f"this row is not valid CSV ({error})"


def read_rows(lines: Iterable[str], dialect: Dialect, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table, each with the line where it starts, counted from 1.

    Raises:
        FabulaError: a row has more or fewer fields than the others, or a quotation mark is never closed. No part of a
            row is ever left out.
    """
    names = dialect.names
    feed = itertools.islice(lines, dialect.skip, None)
    with _long_fields():
        if dialect.quoting == "markdown":
            rows = _markdown_rows(feed)
        elif not dialect.delimiter or dialect.joins_rest:
            rows = _split_lines(feed, dialect)
        else:
            rows = _parsed(feed, dialect, name)
        is_header = bool(dialect.header)
        for line, row in rows:
            if is_header:
                is_header = False
            elif len(row) == len(names) > 1 and tuple(row) == dialect.header:
                continue  # files with a header each were put together
            elif len(row) == len(names):
                yield line + dialect.skip, dict(zip(names, row, strict=True))
            elif any(value.strip() for value in row):
                row = _trimmed(row, len(names), name, line + dialect.skip)
                yield line + dialect.skip, dict(zip(names, row, strict=True))


def _trimmed(row: list[str], width: int, name: str, line: int) -> list[str]:
    """A row with the right number of fields: spreadsheets write surplus empty fields, or leave out empty ones at the
    end."""
    while len(row) > width and not row[-1].strip():
        row = row[:-1]
    if len(row) > width or len(row) == 1:
        more = "more" if len(row) > width else "fewer"
        hint = "put fields that hold the delimiter in quotation marks, or save the table as JSON Lines"
        what = f"this row has {more} fields ({len(row)}) than the others ({width})"
        raise FabulaError(what, where=name, line=line, hint=hint)
    return row + [""] * (width - len(row))


def _markdown_rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a Markdown table without the line of dashes."""
    for number, line in enumerate(lines, 1):
        if number != 2 and "|" in line:
            yield (
                number,
                [
                    field.strip().replace("\\|", "|")
                    for field in re.split(r"(?<!\\)\|", line.strip().strip("|"))
                ],
            )


def _split_lines(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, 1):
        if text := line.rstrip("\r\n"):
            yield (
                number,
                text.split(dialect.delimiter, dialect.num_fields - 1) if dialect.delimiter else [text],
            )


def _parsed(lines: Iterable[str], dialect: Dialect, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = _reader(lines, dialect.delimiter, dialect.quoting)
    start = 1
    try:
        for row in reader:
            if row:
                yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        if "field larger" in str(error):
            raise too_long(name, start + dialect.skip) from None
        hint = "write a quotation mark inside a field as two, or save the table as JSON Lines"
        raise FabulaError(_csv_fault(error), where=name, line=start + dialect.skip, hint=hint) from None


def _reader(lines: Iterable[str], delimiter: str, quoting: Quoting):
    if quoting == "none":
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    if quoting == "single":
        return csv.reader(lines, delimiter=delimiter, quotechar="'", strict=True)
    if quoting == "escaped":
        return csv.reader(lines, delimiter=delimiter, doublequote=False, escapechar="\\", strict=True)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=quoting == "spaced", strict=True)


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(limits.MAX_STORY_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _unique(names: list[str]) -> tuple[str, ...]:
    """Column names, made unique and not empty."""
    found: list[str] = []
    for number, name in enumerate(names, 1):
        name = name.strip().lstrip("\ufeff") or f"column {number}"
        found.append(name if name not in found else f"{name} ({number})")
    return tuple(found)
