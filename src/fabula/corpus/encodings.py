"""Which encoding a text file is in, and the file as UTF-8."""

import codecs
import io
from typing import IO, Any

from fabula.errors import FabulaError

UTF8 = "utf-8"
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", UTF8),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def is_utf8(name: str) -> bool:
    """Whether `name` names UTF-8, which needs no recoding."""
    return name.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")


def check_encoding(name: str) -> None:
    """
    Raises:
        FabulaError: Python knows no such encoding of text.
    """
    try:
        "".encode(name)
    except LookupError:
        raise FabulaError(
            f"unknown encoding {name!r}",
            where="--encoding",
            hint="for example utf-8, windows-1252 or utf-16",
        ) from None


def decode_start(head: bytes, encoding: str) -> str:
    """The text of the first bytes of a file; bytes that are invalid become U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    try:
        return decoder.decode(head).removeprefix("\ufeff")
    except UnicodeError:  # UTF-16 without a byte order mark; reading will say so
        return head.decode("ascii", "replace")


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
