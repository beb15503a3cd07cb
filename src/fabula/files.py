"""Atomic writes, fingerprints, and the manifest that a finished stage leaves in its folder."""

import errno
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Generic, Self, TypeVar

import xxhash
from filelock import FileLock, Timeout

from fabula.config import Record
from fabula.errors import FabulaError

PARTIAL = ".partial"
"""Suffix of files and folders that are being written. One that is found later was left by a process that died."""

MANIFEST = "manifest.json"


@contextmanager
def sole_owner(folder: Path) -> Iterator[None]:
    """Keep a second process out of `folder` while the block runs. A killed process leaves no lock behind.

    Raises:
        FabulaError: another process is working in the folder, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise FabulaError(
            "another fabula is at work in this folder",
            where=folder,
            hint="wait for it, or name another folder with --out",
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise FabulaError(
            f"this folder cannot be written ({error.strerror})",
            where=folder,
            hint="name another folder with --out",
        ) from None
    try:
        yield
    finally:
        lock.release()


def fsync_folder(folder: Path) -> None:
    """Make renames in `folder` durable. Windows cannot open a folder, and needs no such call."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(path: Path, target: Path) -> None:
    """Rename a file, replacing `target`, or a folder, where there must be no `target`.

    Windows refuses it while another program, such as a virus scanner or an index, has the file open. That takes moments, so
    it is tried again for two seconds.
    """
    for seconds in (0.05, 0.15, 0.3, 0.5, 1.0):
        try:
            path.replace(target)
            return
        except PermissionError:
            if sys.platform != "win32":
                raise
            time.sleep(seconds)
    path.replace(target)


@contextmanager
def atomic_file(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing. It appears at `path` only once it is complete and on the disk.

    `mode` is "w" (UTF-8 text, newlines as written) or "wb". If the block raises, nothing changes at `path`.
    """
    path = Path(path)
    partial = path.with_name(path.name + PARTIAL)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with partial.open(mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        rename(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it replaces `path` when the block ends without an error.

    Whatever was at `path` is replaced as a whole. What a killed process left is removed first.
    """
    path = Path(path)
    partial, old = path.with_name(path.name + PARTIAL), path.with_name(path.name + ".old" + PARTIAL)
    path.parent.mkdir(parents=True, exist_ok=True)
    if old.exists() and not path.exists():  # killed between the two renames below
        rename(old, path)
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                with file.open("rb+") as handle:
                    os.fsync(handle.fileno())
                file.chmod(
                    partial.stat().st_mode & 0o666
                )  # safetensors makes files that only their owner can read
        if path.exists():
            rename(path, old)
        rename(partial, path)
        fsync_folder(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not path.exists():
            rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_file(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=2, allow_nan=False)
        file.write("\n")


def write_jsonl(path: str | Path, rows: Iterator[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with atomic_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The value in a JSON file.

    Raises:
        FabulaError: there is no such file, or it is damaged.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise FabulaError("no such file", where=path) from None
    except ValueError as error:
        raise FabulaError(f"this is not valid JSON: {error}", where=path) from None
    except RecursionError:
        raise FabulaError("this JSON is nested too deeply", where=path) from None


def fingerprint(value: Any) -> str:
    """A short name (16 hexadecimal digits of SHA-256) for a JSON value, equal for equal values."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def hash_file(path: str | Path) -> str:
    """XXH3 (128 bit) of a file's bytes, as hexadecimal digits: fast, for noticing changes, not for security."""
    digest = xxhash.xxh3_128()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def cache_place(kind: str) -> Path:
    """Folder for one kind of file that can be made again: in ~/.cache/fabula, or in the folder that FABULA_CACHE
    names."""
    named = os.environ.get("FABULA_CACHE")
    return (Path(named) if named else Path.home() / ".cache" / "fabula") / kind


def check_is_ours(folder: Path, option: str, ours: Collection[str] = ()) -> None:
    """Refuse to write into something that is a file, or a folder with a file that fabula did not write, so that nothing of the
    user's is lost.

    Args:
        option: the option that names another folder.
        ours: names of files and folders that fabula may have written there.
    """
    if folder.exists() and not folder.is_dir():
        raise FabulaError(
            "this is a file, not a folder", where=folder, hint=f"name another folder with {option}"
        )
    if folder.is_dir() and (unexpected := sorted({path.name for path in folder.iterdir()} - {*ours})):
        raise FabulaError(
            f"this folder has unexpected files ({unexpected[0]})",
            where=folder,
            hint=f"name another folder with {option}",
        )


def hash_path(path: str | Path) -> str:
    """`hash_file` of a file; of a folder, a hash over the names and contents of all files below it."""
    path = Path(path)
    if not path.is_dir():
        return hash_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return fingerprint([[file.relative_to(path).as_posix(), hash_file(file)] for file in files])


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions of these distributions, and fabula's own."""
    versions = {}
    for name in ("fabula", *names):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


Counts = TypeVar("Counts")


class Manifest(Record, Generic[Counts]):
    """What a finished stage records in its folder: its inputs, its settings and its results.

    It holds no times and no paths of the machine, so that the same work gives the same bytes.
    """

    stage: str
    fingerprint: str
    """Fingerprint of the stage's inputs and configuration: a later run with the same one has nothing to do."""
    inputs: dict[str, str]
    """Hash of each input, by its role ("stories", "corpus", "base")."""
    config: dict[str, Any]
    counts: Counts
    versions: dict[str, str]

    def write(self, folder: Path, name: str = MANIFEST) -> None:
        write_json(folder / name, self.model_dump(mode="json"))

    @classmethod
    def find(cls, folder: Path, name: str = MANIFEST) -> Self | None:
        """The manifest of a finished stage in `folder`; None if there is none of this kind, or it is damaged."""
        try:
            return cls.parse(read_json(folder / name))
        except (FabulaError, TypeError, ValueError):
            return None


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts names as people number them: "2" before "10"."""
    return [(int(digits or 0), text) for digits, text in re.findall(r"(\d{0,18})(\D*)", name)]
