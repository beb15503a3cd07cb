"""Plain text, cut into records while it streams. Each function turns lines into (line number, byte offset, bytes)."""

import re
from collections.abc import Callable, Iterator

from fabula.corpus import lines as limits
from fabula.corpus.formats.base import make_story
from fabula.corpus.lines import Lines, decode, too_long
from fabula.errors import FabulaError
from fabula.story import Story

START, END = b"<sos>", b"<eos>"
MARKER = re.compile(rb"(<sos>|<eos>)")

Raw = tuple[int, int, bytes]
"""A record: its line number, its byte offset, its bytes."""


def begins_at_marker() -> Callable[[bytes], bool]:
    return lambda line: line.lstrip().startswith(START)


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
        if opened is None and line.startswith(START):
            stripped = line.rstrip()
            if line.find(END) == len(stripped) - len(END) and line.find(START, 1) < 0:
                yield lines.number, lines.offset, stripped
                continue
        position = lines.offset
        for part in MARKER.split(line):
            if part == START:
                if opened is not None:
                    raise _never_closed(lines.name, opened)
                if b"".join(parts).strip():
                    yield first, offset, b"".join(parts)
                parts, size, opened, first, offset = [], 0, lines.number, lines.number, position
            elif part == END:
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
            if size > limits.MAX_STORY_BYTES:
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
            if size > limits.MAX_STORY_BYTES:
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
