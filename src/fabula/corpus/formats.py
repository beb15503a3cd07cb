"""The records of one file: where a story begins and ends in each format, read as a stream.

Plain text and JSON Lines are read from any byte range, so that several processes can share one file. A range owns the
records that begin in it, and the last of them may run on over its end. Line numbers count from the range's first line;
whoever puts the ranges together adds the lines that came before.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import xxhash

from fabula.errors import FabulaError
from fabula.story import Story

MAX_STORY_BYTES = 32 << 20
"""The longest story that is read: 32 MiB, ten times "War and Peace". Checked while reading, before it is in memory."""

PIECE_BYTES = 4 << 20
"""Size of the byte ranges that a file is cut into. It does not depend on the number of workers."""

END_OF_TEXT_LINE = "<|endoftext|>"
TEXT_COLUMNS = ("text", "story", "content", "body", "selftext", "document", "completion", "output")
TITLE_COLUMNS = ("title", "name")
SPLIT_NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
SPLIT_NAMES |= {"dev": "validation", "eval": "validation", "test": "test"}

_START, _END = b"<sos>", b"<eos>"
_MARKER = re.compile(rb"(<sos>|<eos>)")


class Columns(NamedTuple):
    """Names of the columns that hold a story's text, its title and its split ("" where there is none)."""

    text: str
    title: str = ""
    split: str = ""


NO_COLUMNS = Columns("")


class Lines:
    """The lines of a byte range of a file, with their numbers.

    Args:
        file: open for reading bytes; it must be seekable unless the range is the whole file.
        name: what errors call the file.
        start, end: the range; the lines that begin in it are its own. `end` None reads to the end of the file.
        begins: makes a function that, fed line after line, says whether a record can begin there. The range starts at
            the first such line, and goes on over its end up to the next such line.
    """

    def __init__(
        self,
        file: IO[bytes],
        name: str,
        start: int,
        end: int | None,
        begins: Callable[[], Callable[[bytes], bool]],
    ) -> None:
        self.file, self.name, self.start, self.end, self.begins = file, name, start, end, begins
        self.number = 0
        self.offset = start
        self.num_lines = 0

    def __iter__(self) -> Iterator[bytes]:
        inside = self.start == 0
        position = 0
        if self.start:
            self.file.seek(self.start - 1)
            position = self.start - 1 + len(self._readline())
        begins = self.begins()
        boundary: int | None = None
        while line := self._readline():
            if position == 0 and line.startswith(b"\xef\xbb\xbf"):  # byte order mark
                line, position = line[3:], 3
            if self.end is not None and position >= self.end:
                if not inside:
                    break
                # The next range looks for its first record with a fresh eye, and so do we.
                if boundary is None or position >= boundary:
                    boundary = (position // PIECE_BYTES + 1) * PIECE_BYTES
                    begins = self.begins()
                if begins(line):
                    break
            else:
                self.num_lines += 1
                if not inside:
                    inside = begins(line)
            self.number += 1
            self.offset = position
            position += len(line)
            if inside:
                yield line

    def _readline(self) -> bytes:
        line = self.file.readline(MAX_STORY_BYTES + 1)
        if len(line) > MAX_STORY_BYTES:
            raise too_long(self.name, self.number + 1)
        return line


def too_long(name: str, line: int) -> FabulaError:
    return FabulaError(
        f"a story is longer than {MAX_STORY_BYTES >> 20} MiB",
        where=name,
        line=line,
        hint="cut it into several, or name the right --format",
    )


def decode(raw: bytes, name: str, line: int, offset: int) -> str:
    """The text of UTF-8 bytes.

    Raises:
        FabulaError: they are not UTF-8; names the byte's offset in the file and its line.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        raise FabulaError(
            f"byte {offset + error.start:,} (0x{raw[error.start]:02x}) is not UTF-8",
            where=name,
            line=line,
            hint="name the file's encoding, for example --encoding windows-1252",
        ) from None


def make_story(text: str, name: str, line: int, title: str = "", split: str = "") -> Story:
    """A raw story; its id is the XXH3 hash (128 bit) of its text."""
    text, title = valid_unicode(text), valid_unicode(title)
    story_id = xxhash.xxh3_128_hexdigest(text.encode())
    return Story(id=story_id, text=text, source=name, source_line=line, title=title, split=split)


def valid_unicode(text: str) -> str:
    """`text` with surrogates (from JSON escapes or file names) joined to characters, or else replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


# Plain text. Each function turns lines into (line number, byte offset, bytes of one record).

Raw = tuple[int, int, bytes]


def begins_anywhere() -> Callable[[bytes], bool]:
    return lambda line: True


def begins_at_marker() -> Callable[[bytes], bool]:
    return lambda line: line.lstrip().startswith(_START)


def begins_after_blank(num_blank: int) -> Callable[[], Callable[[bytes], bool]]:
    def fresh() -> Callable[[bytes], bool]:
        blank = 0

        def begins(line: bytes) -> bool:
            nonlocal blank
            if not line.strip():
                blank += 1
                return False
            found, blank = blank >= num_blank, 0
            return found

        return begins

    return fresh


def begins_after_separator(separator: bytes) -> Callable[[], Callable[[bytes], bool]]:
    def fresh() -> Callable[[bytes], bool]:
        previous = False

        def begins(line: bytes) -> bool:
            nonlocal previous
            found, previous = previous, line.strip() == separator
            return found

        return begins

    return fresh


def marked_records(lines: Lines) -> Iterator[Raw]:
    """`<sos> ... <eos>`, within one line or over several. A line without any marker is a story of its own."""
    opened: int | None = None
    parts: list[bytes] = []
    size, first, offset = 0, 0, 0
    for line in lines:
        if opened is None and line.startswith(_START):
            stripped = line.rstrip()
            if line.find(_END) == len(stripped) - len(_END) and line.find(_START, 1) < 0:
                yield lines.number, lines.offset, stripped
                continue
        position = lines.offset
        for part in _MARKER.split(line):
            if part == _START:
                if opened is not None:
                    raise _never_closed(lines.name, opened)
                if b"".join(parts).strip():
                    yield first, offset, b"".join(parts)
                parts, size, opened, first, offset = [], 0, lines.number, lines.number, position
            elif part == _END:
                yield first or lines.number, offset, b"".join(parts)
                parts, size, opened, first = [], 0, None, 0
            elif part:
                if not parts and opened is None:
                    first, offset = lines.number, position
                parts.append(part)
                size += len(part)
                if size > MAX_STORY_BYTES:
                    raise too_long(lines.name, first)
            position += len(part)
        if opened is None:
            if b"".join(parts).strip():
                yield first, offset, b"".join(parts)
            parts, size, first = [], 0, 0
    if opened is not None:
        raise _never_closed(lines.name, opened)


def _never_closed(name: str, line: int) -> FabulaError:
    return FabulaError(
        "<sos> is opened and never closed",
        where=name,
        line=line,
        hint="end that story with <eos>, or read the file another way with --format lines",
    )


def line_records(lines: Lines) -> Iterator[Raw]:
    """One story a line."""
    for line in lines:
        yield lines.number, lines.offset, line


def blank_records(num_blank: int) -> Callable[[Lines], Iterator[Raw]]:
    """Stories apart by `num_blank` blank lines or more; fewer are a paragraph's end."""

    def records(lines: Lines) -> Iterator[Raw]:
        block: list[bytes] = []
        first, offset, blank, size = 0, 0, 0, 0
        for line in lines:
            if not line.strip():
                blank += 1
                if block and blank < num_blank:
                    block.append(line)
                continue
            if block and blank >= num_blank:
                yield first, offset, b"".join(block)
                block = []
            if not block:
                first, offset, size = lines.number, lines.offset, 0
            blank = 0
            block.append(line)
            size += len(line)
            if size > MAX_STORY_BYTES:
                raise too_long(lines.name, first)
        if block:
            yield first, offset, b"".join(block)

    return records


def separated_records(separator: bytes) -> Callable[[Lines], Iterator[Raw]]:
    """Stories apart by a line that is `separator` and nothing else."""

    def records(lines: Lines) -> Iterator[Raw]:
        block: list[bytes] = []
        first, offset, size = 0, 0, 0
        for line in lines:
            if line.strip() == separator:
                if block:
                    yield first, offset, b"".join(block)
                block = []
                continue
            if not block:
                if not line.strip():
                    continue
                first, offset, size = lines.number, lines.offset, 0
            block.append(line)
            size += len(line)
            if size > MAX_STORY_BYTES:
                raise too_long(lines.name, first)
        if block:
            yield first, offset, b"".join(block)

    return records


def _newlines(text: str) -> str:
    """`<nl>`, with at most one space on either side, becomes a newline."""
    first, *rest = text.split("<nl>")
    if not rest:
        return text
    lines = [first]
    for part in rest:
        if lines[-1][-1:].isspace():
            lines[-1] = lines[-1][:-1]
        lines.append(part[1:] if part[:1].isspace() else part)
    return "\n".join(lines)


def text_stories(records: Iterator[Raw], name: str, marked: bool) -> Iterator[Story]:
    """Stories of plain text. Records that hold nothing but white space are no stories."""
    for line, offset, raw in records:
        text = decode(raw, name, line, offset)
        if marked:
            text = text.strip().removeprefix("<sos>").removesuffix("<eos>")
            text = _newlines(text)
        if text := text.strip():
            yield make_story(text, name, line)


# Records with columns.


def row_story(
    row: dict[str, Any], columns: Columns, name: str, line: int, unit: str = "line"
) -> Story | None:
    """The story in a row, or None where its text is empty.

    Raises:
        FabulaError: the row has no such column, or there is no text in it.
    """
    text = row.get(columns.text)
    if not isinstance(text, str):
        if columns.text in row and text is None:
            return None
        what = "is not text" if columns.text in row else "is missing"
        known = ", ".join(str(key) for key in row if key is not None)
        raise FabulaError(
            f"column {columns.text!r} {what}" + (f" in {unit} {line:,}" if unit != "line" else ""),
            where=name,
            line=line if unit == "line" else None,
            hint=f"name the text's column with --column (this {unit} has: {known})",
        )
    if not (text := text.strip()):
        return None
    if len(text) > MAX_STORY_BYTES:
        raise too_long(name, line)
    title = row.get(columns.title) if columns.title else None
    split = row.get(columns.split) if columns.split else None
    return make_story(
        text,
        name,
        line,
        title=title.strip() if isinstance(title, str) else "",
        split=SPLIT_NAMES.get(split.strip().lower(), "") if isinstance(split, str) else "",
    )


def parse_json_row(raw: bytes, name: str, line: int, offset: int) -> dict[str, Any]:
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


def json_stories(lines: Lines, columns: Columns) -> Iterator[Story]:
    """One JSON object a line; blank lines are passed over."""
    for line in lines:
        if line.strip():
            row = parse_json_row(line, lines.name, lines.number, lines.offset)
            if story := row_story(row, columns, lines.name, lines.number):
                yield story


@contextmanager
def csv_rows(lines: Lines) -> Iterator[Iterator[tuple[int, dict[str, Any]]]]:
    """Rows of a CSV file with a header line, each with the line at which it starts."""
    limit = csv.field_size_limit(MAX_STORY_BYTES)
    try:
        yield _csv_rows(lines)
    finally:
        csv.field_size_limit(limit)


def _csv_rows(lines: Lines) -> Iterator[tuple[int, dict[str, Any]]]:
    delimiter = ","

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


def csv_stories(lines: Lines, columns: Columns) -> Iterator[Story]:
    with csv_rows(lines) as rows:
        for line, row in rows:
            if story := row_story(row, columns, lines.name, line):
                yield story


def open_parquet(path: Path, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path.open("rb"))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FabulaError(f"this is not a readable Parquet file ({_first_line(error)})", where=name) from None


def parquet_stories(path: Path, name: str, columns: Columns) -> Iterator[Story]:
    """Rows of a Parquet file, a few at a time; `source_line` is the row, from 1."""
    import pyarrow as pa

    file = open_parquet(path, name)
    wanted = [column for column in columns if column]
    row_number = 0
    try:
        for batch in file.iter_batches(batch_size=64, columns=wanted):
            for row in batch.to_pylist():
                row_number += 1
                if story := row_story(row, columns, name, row_number, unit="row"):
                    yield story
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FabulaError(f"this Parquet file is damaged ({_first_line(error)})", where=name) from None


def whole_story(path_lines: Lines) -> Iterator[Story]:
    """One story a file."""
    raw, size = [], 0
    for line in path_lines:
        raw.append(line)
        size += len(line)
        if size > MAX_STORY_BYTES:
            raise too_long(path_lines.name, 1)
    text = decode(b"".join(raw), path_lines.name, 1, 0).strip()
    if text:
        yield make_story(text, path_lines.name, 1)


# Bytes.


class Recoded(io.RawIOBase):
    """A stream of bytes in another encoding, read as UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str, name: str) -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding, newline="")
        self._name = name
        self._encoding = encoding
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            try:
                self._rest = self._text.read(1 << 16).encode("utf-8", "surrogatepass")
            except UnicodeError as error:
                what = f"this is not {self._encoding} ({error})"
                if isinstance(error, UnicodeDecodeError):
                    byte = error.object[error.start]
                    what = f"byte 0x{byte:02x} is not {self._encoding} ({error.reason})"
                raise FabulaError(
                    what, where=self._name, hint="name the file's encoding with --encoding"
                ) from None
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def close(self) -> None:
        self._text.close()
        super().close()


@contextmanager
def open_bytes(path: Path, name: str, encoding: str = "utf-8") -> Iterator[IO[bytes]]:
    """Open a file for reading UTF-8 bytes, through its compression and its encoding.

    Raises:
        FabulaError: no such file, no permission, or a damaged archive (when it is read).
    """
    import gzip
    import zlib

    import zstandard

    try:
        file: IO[bytes] = path.open("rb")
    except FileNotFoundError:
        raise FabulaError("no such file", where=name) from None
    except OSError as error:
        raise FabulaError(f"this file cannot be read ({error.strerror})", where=name) from None
    try:
        if path.suffix == ".gz":
            file = gzip.GzipFile(fileobj=file)  # pyright: ignore[reportAssignmentType]
        elif path.suffix == ".zst":
            file = io.BufferedReader(
                zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            )  # pyright: ignore[reportArgumentType]
        if encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
            file = io.BufferedReader(Recoded(file, encoding, name))
        yield file
    except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise FabulaError(f"this compressed file is damaged ({_first_line(error)})", where=name) from None
    finally:
        file.close()


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
