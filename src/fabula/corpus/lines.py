"""The lines of a byte range of a file, so that several processes can share one file.

A range owns the records that begin in it, and the last of them may extend past its end. Line numbers count from the
range's first line; the caller that combines the ranges adds the lines before it.
"""

from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from fabula.errors import FabulaError

MAX_STORY_BYTES = 32 << 20
"""The longest story that is read: 32 MiB, ten times "War and Peace". It is checked while reading, before the story is
in memory."""

RANGE_BYTES = 4 << 20
"""Size of the byte ranges that a file is cut into. It does not depend on the number of workers."""


class FileRange(NamedTuple):
    """A part of a source that can be read on its own: bytes `start` to `end` of its file number `file`."""

    file: int
    start: int
    end: int | None
    """None for the end of the file; such a range is the whole file."""


Begins = Callable[[], Callable[[bytes], bool]]
"""Makes a function that takes one line after the other and returns whether a record can begin there."""


class Lines:
    """The lines of a byte range of a file, with their numbers.

    Args:
        file: open for reading bytes; it must be seekable unless the range is the whole file.
        name: the file's name in errors.
        start, end: the range; the lines that begin in it are its own. `end` None reads to the end of the file.
        begins: the range starts at the first line where a record can begin, and extends past its end to the next such
            line.
    """

    def __init__(self, file: IO[bytes], name: str, start: int, end: int | None, begins: Begins) -> None:
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
                # The next range looks for its first record with a fresh function, so this one has to do the same.
                if boundary is None or position >= boundary:
                    boundary = (position // RANGE_BYTES + 1) * RANGE_BYTES
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


def begins_anywhere() -> Callable[[bytes], bool]:
    return lambda line: True


def too_long(name: str, line: int) -> FabulaError:
    return FabulaError(
        f"a story is longer than {MAX_STORY_BYTES >> 20} MiB",
        where=name,
        line=line,
        hint="cut it into several, or name the line between its parts with --split-at",
    )


def decode(raw: bytes, name: str, line: int, offset: int) -> str:
    """The text of UTF-8 bytes.

    Raises:
        FabulaError: they are not UTF-8; the error names the byte's offset in the file and its line.
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
