"""The files inside an office document or an e-book, which is a zip."""

import io
import posixpath
import struct
import zipfile
import zlib
from urllib.parse import unquote, urldefrag

from fabula.errors import FabulaError

MAX_PART_BYTES = 256 << 20
"""The largest file in a document that is unpacked: forty times the text of "War and Peace"."""


class Package:
    """A zip in memory. Its files are unpacked one by one, up to a maximum size.

    Args:
        data: the zip.
        name: its name in errors.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._left = 2 * MAX_PART_BYTES
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OverflowError) as error:
            raise self._damaged(error) from None
        self._known = set(self._zip.namelist())

    def __contains__(self, part: str) -> bool:
        return part in self._known

    def names(self) -> list[str]:
        return self._zip.namelist()

    def read(self, part: str) -> bytes:
        """The bytes of a file inside.

        Raises:
            FabulaError: there is no file of that name, or it is encrypted, damaged or too large.
        """
        bound = min(MAX_PART_BYTES, self._left)
        try:
            with self._zip.open(part) as file:
                data = file.read(bound + 1)
        except KeyError:
            raise FabulaError(f"this document is damaged (it has no {part})", where=self.name) from None
        except RuntimeError as error:  # zipfile raises this if a password is needed
            if isinstance(error, NotImplementedError):
                raise self._damaged(error) from None
            hint = "save it without a password"
            raise FabulaError("this document is encrypted", where=self.name, hint=hint) from None
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            struct.error,
            OSError,
            ValueError,
        ) as error:
            raise self._damaged(error) from None
        if len(data) > bound:
            hint = "if this is the right file, save it as plain text"
            raise FabulaError(f"{part} in this document is too large", where=self.name, hint=hint)
        self._left -= len(data)
        return data

    def _damaged(self, error: Exception) -> FabulaError:
        hint = "open it in the program that wrote it, and save it again"
        return FabulaError(f"this document is damaged ({error})".split("\n")[0], where=self.name, hint=hint)


def resolve(base: str, link: str) -> tuple[str, str]:
    """The part that a link in part `base` points to, and the fragment in it."""
    path, fragment = urldefrag(link)
    path = unquote(path)
    if not path:
        return base, fragment
    if path.startswith("/"):
        return posixpath.normpath(path[1:]), fragment
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), path)), fragment
