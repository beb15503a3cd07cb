"""Finds the files that the user names, in folders and archives, and opens them through their compression."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from fabula.corpus import remote
from fabula.corpus.documents import document_kind
from fabula.errors import FabulaError
from fabula.files import natural_order

MAX_ZSTD_WINDOW = 1 << 31
"""Largest Zstandard window that is accepted, in bytes: that of `zstd --long=31`, which Reddit's dumps use."""

MAX_TAR_BYTES = 1 << 30
"""A tar archive is held in memory while it is read, since its members cannot be reached otherwise."""

MAX_DEPTH = 3
"""Archives may be in archives, so many times."""

_COMPRESSIONS = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zst"))
_REFUSED_ARCHIVES = ((b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR"))
_DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError, lzma.LZMAError)
_ARCHIVE_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, NotImplementedError, RuntimeError, *_DAMAGE, OSError)

_BACKUP = re.compile(r"~\$.*|.*~|#.*#|.*\.(?:bak|orig|swp|tmp|part|partial|crdownload)", re.IGNORECASE)
"""Names that programs give to backups, locks and unfinished downloads."""

_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}
"""Files that operating systems leave in folders and archives, besides those whose name begins with a dot."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that may hold stories.

    Attributes:
        path: its path on the disk, or that of the archive that it is in; a folder for an unpacked e-book or document.
        name: its name in `Story.source` and in errors.
        num_bytes: its size as it is stored; of a member of an archive, unpacked.
        compression: "gz", "bz2", "xz", "zst" or "".
        archive: "zip" or "tar" for a member of an archive, "folder" for an unpacked e-book or document, or "".
        member: its name in the archive.
        outer: the archive, which may be a member of another one.
        input: number of the user's input that it is, or that contains it.
    """

    path: Path
    name: str
    num_bytes: int = 0
    compression: str = ""
    archive: str = ""
    member: str = ""
    outer: "InputFile | None" = None
    input: int = 0

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open for reading bytes, through its compression.

        Raises:
            FabulaError: there is no such file, no permission to read it, or (while reading) the file is damaged.
        """
        file = self._open_stored()
        try:
            yield _decompressed(file, self.compression)
        except _DAMAGE as error:
            raise _damaged("this compressed file", self.name, error) from None
        except OSError as error:
            if self.compression != "bz2":  # bz2 raises no exception type of its own
                raise
            raise _damaged("this compressed file", self.name, error) from None
        finally:
            file.close()

    def _open_stored(self) -> IO[bytes]:
        if self.archive:
            return io.BytesIO(_read_member(self))
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            raise FabulaError("no such file", where=self.name) from None
        except OSError as error:
            raise FabulaError(f"this file cannot be read ({error.strerror})", where=self.name) from None


NO_FILE = InputFile(Path(), "")


def find_inputs(sources: Sequence[str | Path]) -> tuple[list[InputFile], list[str]]:
    """The files in the user's inputs, and the names of those that are passed over because they are empty or hidden.

    Folders and archives are searched; their files are in the natural order of their names ("2" before "10"). Files of
    the operating system are left out.

    Raises:
        FabulaError: an input does not exist, is empty, or cannot be opened.
    """
    found: list[InputFile] = []
    passed_over: list[str] = []
    for number, source in enumerate(sources):
        path = remote.path_of(source)
        try:
            if path.is_dir():
                prefix = f"{path.resolve().name}/" if len(sources) > 1 else ""
                files = _in_folder(path, prefix, passed_over)
            else:
                files = _unpacked(_stored(path, path.name), passed_over)
                if all(file.num_bytes == 0 for file in files):
                    raise FabulaError("this file is empty", where=path, hint="name a file with stories in it")
        except FileNotFoundError:
            hint = "check the spelling; the path is taken from the folder you are in"
            raise FabulaError("no such file or folder", where=path, hint=hint) from None
        except OSError as error:
            raise FabulaError(f"this cannot be read ({error.strerror})", where=path) from None
        if not files:
            raise FabulaError("there is no file with text in it", where=path)
        found += [replace(file, input=number) for file in files]
    return _with_names_apart(found), passed_over


def _with_names_apart(files: list[InputFile]) -> list[InputFile]:
    """The files; if two have the same name, the full path becomes the name of each.

    Raises:
        FabulaError: a file is named twice.
    """
    times = Counter(file.name for file in files)
    places = Counter((file.path, file.name) for file in files)
    for file in files:
        if places[file.path, file.name] > 1:
            raise FabulaError("this is named twice", where=file.path)
    return [
        replace(file, name=f"{file.path.as_posix()}/{file.name}" if file.archive else file.path.as_posix())
        if times[file.name] > 1
        else file
        for file in files
    ]


def _in_folder(folder: Path, prefix: str, passed_over: list[str]) -> list[InputFile]:
    found = []
    paths = sorted(folder.rglob("*"), key=lambda path: natural_order(path.relative_to(folder).as_posix()))
    packages = {path.parent for path in paths if path.name == "[Content_Types].xml"}
    packages |= {path.parent.parent for path in paths if path.parts[-2:] == ("META-INF", "container.xml")}
    for path in [folder, *paths]:
        name = path.relative_to(folder).as_posix()
        if path in packages:
            files = [file for file in path.rglob("*") if file.is_file()]
            size = sum(file.stat().st_size for file in files)
            shown = prefix + name if path != folder else prefix.rstrip("/") or folder.resolve().name
            found.append(InputFile(path, valid_unicode(shown), size, archive="folder"))
        if _is_systems(name) or not path.is_file() or not packages.isdisjoint(path.parents):
            continue
        if path.suffix == ".scrivx":
            raise FabulaError(
                "this is a Scrivener project",
                where=path.parent,
                hint="compile it in Scrivener to .docx or .txt",
            )
        file = _stored(path, prefix + name)
        if path.name.startswith(".") or not file.num_bytes or _BACKUP.fullmatch(path.name):
            passed_over.append(file.name)
        else:
            found += _unpacked(file, passed_over)
    return found


def _is_systems(name: str) -> bool:
    """Whether a file belongs to the system or a program: `.DS_Store`, `._story.txt`, everything in `.git` or
    `__MACOSX`."""
    *folders, last = name.split("/")
    return (
        any((part.startswith(".") and part != ".") or part.lower() in _SYSTEM_NAMES for part in folders)
        or last.lower() in _SYSTEM_NAMES
        or last == ".DS_Store"
        or last.startswith("._")
    )


def _stored(path: Path, name: str) -> InputFile:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
    return InputFile(path, valid_unicode(name), size, _compression(head))


def _compression(head: bytes) -> str:
    return next((kind for mark, kind in _COMPRESSIONS if head.startswith(mark)), "")


def _unpacked(file: InputFile, passed_over: list[str]) -> list[InputFile]:
    """The members of an archive, and of the archives in it, or the file itself if it is not an archive."""
    with file.open() as opened:
        head = read_up_to(opened, 512)
        is_zip = head.startswith((b"PK\x03\x04", b"PK\x05\x06"))
        if is_zip and document_kind(head + read_up_to(opened, 1 << 20)):
            return [file]
    for mark, kind in _REFUSED_ARCHIVES:
        if head.startswith(mark):
            raise FabulaError(
                f"{kind} archives are not read", where=file.name, hint="unpack it, and name the folder"
            )
    if is_zip:
        members = _zip_members(file)
        archive = "zip"
    elif head[257:262] == b"ustar":
        members = {name: len(data) for name, data in _tar_members(file).items()}
        archive = "tar"
    else:
        return [file]
    if _depth(file) > MAX_DEPTH:
        raise FabulaError("these archives are nested too deeply", where=file.name, hint="unpack them first")
    found: list[InputFile] = []
    prefix = f"{file.name}/" if file.archive else ""
    for name in sorted(members, key=natural_order):
        if _is_systems(name):
            continue
        member = InputFile(file.path, valid_unicode(prefix + name), members[name], "", archive, name, file)
        last = name.rpartition("/")[2]
        if last.startswith(".") or not members[name] or _BACKUP.fullmatch(last):
            passed_over.append(member.name)
            continue
        with member.open() as opened:
            compression = _compression(opened.read(8))
        found += _unpacked(replace(member, compression=compression), passed_over)
    if not found and file.archive:
        passed_over.append(file.name)
    return found


def _depth(file: InputFile) -> int:
    """In how many archives a file is."""
    return 1 + _depth(file.outer) if file.outer else 0


@contextmanager
def _open_zip(file: InputFile) -> Iterator[zipfile.ZipFile]:
    if file.compression:
        with zipfile.ZipFile(io.BytesIO(_all_bytes(file))) as archive:
            yield archive
    else:
        with file.open() as opened, zipfile.ZipFile(opened) as archive:
            yield archive


@lru_cache(maxsize=1)
def _all_bytes(file: InputFile) -> bytes:
    """A compressed zip archive, whose end has to be read first."""
    with file.open() as opened:
        data = read_up_to(opened, MAX_TAR_BYTES + 1)
    if len(data) > MAX_TAR_BYTES:
        raise _too_large(file.name)
    return data


def _too_large(name: str) -> FabulaError:
    what = f"this archive holds more than {MAX_TAR_BYTES >> 30} GiB"
    return FabulaError(what, where=name, hint="unpack it, and name the folder")


def _zipped(package: InputFile) -> bytes:
    """An unpacked e-book or office document as the zip that it was; Apple Books keeps e-books as folders."""
    if package.num_bytes > MAX_TAR_BYTES:
        raise _too_large(package.name)
    first = ("mimetype", "META-INF/", "[Content_Types].xml", "word/document.xml")  # they tell its kind
    names = {
        path.relative_to(package.path).as_posix(): path for path in package.path.rglob("*") if path.is_file()
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in sorted(names, key=lambda name: (not name.startswith(first), name != "mimetype", name)):
            archive.writestr(zipfile.ZipInfo(name), names[name].read_bytes())
    return packed.getvalue()


def _zip_members(file: InputFile) -> dict[str, int]:
    try:
        with _open_zip(file) as archive:
            return {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}
    except _ARCHIVE_DAMAGE as error:
        raise _damaged("this archive", file.name, error) from None


def _read_member(file: InputFile) -> bytes:
    if file.archive == "folder":
        return _zipped(file)
    assert file.outer is not None
    try:
        if file.archive == "tar":
            return _tar_members(file.outer)[file.member]
        with _open_zip(file.outer) as archive:
            if archive.getinfo(file.member).flag_bits & 1:
                raise FabulaError(
                    "this archive is locked with a password",
                    where=file.outer.name,
                    hint="unpack it, and name the folder",
                )
            return archive.read(file.member)
    except _ARCHIVE_DAMAGE as error:
        raise _damaged("this archive", file.outer.name, error) from None


@lru_cache(maxsize=1)
def _tar_members(file: InputFile) -> dict[str, bytes]:
    """The contents of all files of a tar archive, by name.

    Raises:
        FabulaError: it is damaged, or larger than `MAX_TAR_BYTES`.
    """
    found: dict[str, bytes] = {}
    size = 0
    try:
        with file.open() as opened, tarfile.open(fileobj=opened, mode="r|") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                size += member.size
                if size > MAX_TAR_BYTES:
                    raise _too_large(file.name)
                content = archive.extractfile(member)
                found[member.name] = content.read() if content else b""
    except _ARCHIVE_DAMAGE as error:
        raise _damaged("this archive", file.name, error) from None
    return found


def _damaged(what: str, name: str, error: BaseException) -> FabulaError:
    return FabulaError(
        f"{what} is damaged or cut short ({first_line(error)})",
        where=name,
        hint="download or copy it again",
    )


def _decompressed(file: IO[bytes], compression: str) -> IO[bytes]:
    if compression == "gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if compression == "bz2":
        return cast(IO[bytes], bz2.BZ2File(file))
    if compression == "xz":
        return cast(IO[bytes], lzma.LZMAFile(file))
    if compression == "zst":
        return io.BufferedReader(_ZstdStream(file))
    return file


class _ZstdStream(io.RawIOBase):
    """Reads a Zstandard stream. The library's own reader would raise no error for a file that is cut short."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            self._packed = self._packed or self._file.read(1 << 17)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("it ends within a frame")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW).decompressobj()
            self._rest = self._frame.decompress(self._packed)
            self._packed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def read_up_to(file: IO[bytes], size: int) -> bytes:
    """The first `size` bytes, or all if there are fewer."""
    parts: list[bytes] = []
    while size > 0 and (block := file.read(size)):
        parts.append(block)
        size -= len(block)
    return b"".join(parts)


def first_line(error: BaseException) -> str:
    """The first line of a library's error message."""
    return str(error).strip().split("\n")[0].rstrip(".")


def valid_unicode(text: str) -> str:
    """`text` with surrogates (from JSON escapes or file names) joined to characters, or else replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
