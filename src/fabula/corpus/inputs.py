"""The files that the user names: found in folders and archives, and opened through their compression."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import zstandard

from fabula.errors import FabulaError

MAX_ZSTD_WINDOW = 1 << 31
"""Bytes of the largest window that is accepted: what `zstd --long=31` writes, as the dumps of Reddit are."""

_COMPRESSIONS = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zst"))
_DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file with stories.

    Attributes:
        path: where it is.
        name: what `Story.source` and errors call it.
        compression: "gz", "bz2", "xz", "zst" or "".
    """

    path: Path
    name: str
    compression: str = ""

    @property
    def num_bytes(self) -> int:
        """Size on the disk."""
        return self.path.stat().st_size

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open for reading bytes, through its compression.

        Raises:
            FabulaError: no such file, no permission, or damaged (when it is read).
        """
        try:
            file: IO[bytes] = self.path.open("rb")
        except FileNotFoundError:
            raise FabulaError("no such file", where=self.name) from None
        except OSError as error:
            raise FabulaError(f"this file cannot be read ({error.strerror})", where=self.name) from None
        try:
            yield _decompressed(file, self.compression)
        except _DAMAGE as error:
            raise FabulaError(
                f"this compressed file is damaged ({first_line(error)})", where=self.name
            ) from None
        except OSError as error:
            if self.compression != "bz2":  # bz2 raises nothing of its own
                raise
            raise FabulaError(
                f"this compressed file is damaged ({first_line(error)})", where=self.name
            ) from None
        finally:
            file.close()


def input_file(path: Path, name: str) -> InputFile:
    """The file at `path`, with the compression that its first bytes tell."""
    with path.open("rb") as file:
        head = file.read(8)
    return InputFile(path, name, next((kind for mark, kind in _COMPRESSIONS if head.startswith(mark)), ""))


def _decompressed(file: IO[bytes], compression: str) -> IO[bytes]:
    if compression == "gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if compression == "bz2":
        return cast(IO[bytes], bz2.BZ2File(file))
    if compression == "xz":
        return cast(IO[bytes], lzma.LZMAFile(file))
    if compression == "zst":
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW)
        return io.BufferedReader(decompressor.stream_reader(file, read_across_frames=True))  # pyright: ignore[reportArgumentType]
    return file


def read_up_to(file: IO[bytes], size: int) -> bytes:
    """The first `size` bytes, or all where there are fewer."""
    parts: list[bytes] = []
    while size > 0 and (block := file.read(size)):
        parts.append(block)
        size -= len(block)
    return b"".join(parts)


def first_line(error: BaseException) -> str:
    """What an exception of a library says, as a part of a line."""
    return str(error).strip().split("\n")[0].rstrip(".")
