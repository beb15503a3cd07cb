"""Cuts a stream of plain text into records. Each function turns lines into (line number, byte offset, bytes)."""

import re
from collections.abc import Callable, Iterator

from fabula.corpus import lines as limits
from fabula.corpus.formats.base import ReaderRemoval, ReadingLog, make_story
from fabula.corpus.lines import Begins, Lines, decode, too_long
from fabula.corpus.splitting.cut import without_last_divider
from fabula.corpus.splitting.markers import with_newlines
from fabula.corpus.splitting.split import Split
from fabula.errors import FabulaError
from fabula.story import Story

Raw = tuple[int, int, bytes]
"""A record: its line number, its byte offset, its bytes."""


def _stripped(line: bytes) -> bytes:
    """A line without the white space around it, also no-break spaces and the wide ones of Chinese and Japanese."""
    line = line.strip()
    if line[:1] < b"\x80" and line[-1:] < b"\x80":
        return line
    return line.decode("utf-8", "replace").strip().encode()


def begins_at(start: bytes) -> Begins:
    """A record can begin on a line that begins with a marker."""
    return lambda: lambda line: line.lstrip().startswith(start)


def begins_after(end: bytes) -> Begins:
    """A record can begin on the line after one that ends with a marker."""

    def fresh() -> Callable[[bytes], bool]:
        previous = False

        def begins(line: bytes) -> bool:
            nonlocal previous
            found, previous = previous, line.rstrip().endswith(end)
            return found

        return begins

    return fresh


def begins_after_blank(num_blank: int) -> Callable[[], Callable[[bytes], bool]]:
    def fresh() -> Callable[[bytes], bool]:
        blank = 0

        def begins(line: bytes) -> bool:
            nonlocal blank
            if not _stripped(line):
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
            found, previous = previous, _stripped(line) == separator
            return found

        return begins

    return fresh


def marked_records(start: bytes, end: bytes, any_case: bool = False) -> Callable[[Lines], Iterator[Raw]]:
    """`<sos> ... <eos>`, within one line or over several. A line without any marker is a story of its own."""
    marker = re.compile(
        b"(" + re.escape(start) + b"|" + re.escape(end) + b")", re.IGNORECASE if any_case else 0
    )
    starts = re.compile(re.escape(start), marker.flags)

    def records(lines: Lines) -> Iterator[Raw]:
        opened: int | None = None
        parts: list[bytes] = []
        size, first, offset = 0, 0, 0
        for line in lines:
            if opened is None and line.startswith(start) and not any_case:
                stripped = line.rstrip()
                if 0 < line.find(end) == len(stripped) - len(end) and line.find(start, 1) < 0:
                    yield lines.number, lines.offset, stripped
                    continue
            position = lines.offset
            for number, part in enumerate(marker.split(line)):
                if number % 2 and starts.fullmatch(part):
                    if opened is not None:
                        raise _never_closed(lines.name, opened, start, end)
                    if b"".join(parts).strip():
                        yield first, offset, b"".join(parts)
                    parts, size, opened, first, offset = [], 0, lines.number, lines.number, position
                elif number % 2:
                    yield first or lines.number, offset, b"".join(parts)
                    parts, size, opened, first = [], 0, None, 0
                elif part:
                    if not parts and opened is None:
                        first, offset = lines.number, position
                    parts.append(part)
                    size += len(part)
                    if size > limits.MAX_STORY_BYTES:
                        raise too_long(lines.name, first)
                position += len(part)
            if opened is None:
                if b"".join(parts).strip():
                    yield first, offset, b"".join(parts)
                parts, size, first = [], 0, 0
        if opened is not None:
            raise _never_closed(lines.name, opened, start, end)

    return records


def _never_closed(name: str, line: int, start: bytes, end: bytes) -> FabulaError:
    return FabulaError(
        f"{start.decode()} is opened and never closed",
        where=name,
        line=line,
        hint=f"end that story with {end.decode()}, or read the file another way with --split-at",
    )


def parted_records(token: bytes, any_case: bool = False) -> Callable[[Lines], Iterator[Raw]]:
    """Stories separated by a marker, which may be within a line."""
    marker = re.compile(re.escape(token), re.IGNORECASE)

    def records(lines: Lines) -> Iterator[Raw]:
        parts: list[bytes] = []
        first, offset, size = 0, 0, 0
        for line in lines:
            position = lines.offset
            for number, part in enumerate(marker.split(line) if any_case else line.split(token)):
                if number:
                    if parts:
                        yield first, offset, b"".join(parts)
                    parts, size = [], 0
                    position += len(token)
                if not parts and part.strip():
                    first, offset = lines.number, position
                if parts or part.strip():
                    parts.append(part)
                    size += len(part)
                    if size > limits.MAX_STORY_BYTES:
                        raise too_long(lines.name, first)
                position += len(part)
        if parts:
            yield first, offset, b"".join(parts)

    return records


def line_records(lines: Lines) -> Iterator[Raw]:
    """One story per line."""
    for line in lines:
        yield lines.number, lines.offset, line


def blank_records(num_blank: int) -> Callable[[Lines], Iterator[Raw]]:
    """Stories separated by `num_blank` blank lines or more; fewer end a paragraph."""

    def records(lines: Lines) -> Iterator[Raw]:
        block: list[bytes] = []
        first, offset, blank, size = 0, 0, 0, 0
        for line in lines:
            if not _stripped(line):
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
            if size > limits.MAX_STORY_BYTES:
                raise too_long(lines.name, first)
        if block:
            yield first, offset, b"".join(block)

    return records


def separated_records(separator: bytes) -> Callable[[Lines], Iterator[Raw]]:
    """Stories separated by a line that is exactly `separator`."""

    def records(lines: Lines) -> Iterator[Raw]:
        block: list[bytes] = []
        first, offset, size = 0, 0, 0
        for line in lines:
            if _stripped(line) == separator:
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
            if size > limits.MAX_STORY_BYTES:
                raise too_long(lines.name, first)
        if block:
            yield first, offset, b"".join(block)

    return records


def text_stories(records: Iterator[Raw], name: str, split: Split, log: ReadingLog) -> Iterator[Story]:
    """Stories from plain text. Records without any letter are not stories."""
    has_tokens = split.kind in ("markers", "lines")
    for line, offset, raw in records:
        text = decode(raw, name, line, offset)
        if has_tokens:
            text = with_newlines(text.strip().removeprefix(split.start).removesuffix(split.end))
        else:
            text = without_last_divider(text)
        if _LETTER.search(text):
            yield make_story(text.strip(), name, line)
        elif text := text.strip():
            log.removals.append(ReaderRemoval(name, line, "no-letters", text))


_LETTER = re.compile(r"[^\W\d_]")
