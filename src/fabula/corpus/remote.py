"""Input and output on any file system that fsspec supports (s3://, gs://, hdfs://, ...)."""

import shutil
from pathlib import Path
from typing import Any, cast

from fabula.corpus.store import STAGE
from fabula.errors import FabulaError
from fabula.files import MANIFEST
from fabula.install import missing_extra
from fabula.results import CorpusManifest


def is_url(path: str | Path) -> bool:
    """Whether `path` is a URL on another file system than this machine's."""
    return "://" in str(path)


def path_of(source: str | Path) -> Path:
    """A `Path`, or for a URL an object from fsspec with the same methods for reading.

    Raises:
        FabulaError: the library for such URLs is not installed.
    """
    if not is_url(source):
        return Path(source)
    try:
        from upath import UPath

        path = UPath(source)
    except (ImportError, ValueError) as error:
        raise missing_extra(f"this kind of address cannot be read ({error})", "scale", where=source) from None
    try:
        _ = cast(Any, path).fs  # imports the library for this kind of address
    except ImportError as error:
        raise FabulaError(
            f"this kind of address cannot be read ({error})",
            where=source,
            hint="install what it names, or download the file and name that",
        ) from None
    return cast(Path, path)


def stamp(path: Path) -> str:
    """A value that changes when a remote file changes, found without reading it: its time or ETag, and its size."""
    remote = cast(Any, path)
    return str(remote.fs.ukey(remote.path))


def manifest_at(url: str) -> CorpusManifest | None:
    """The manifest of a corpus at a URL, or None if nothing is there.

    Raises:
        FabulaError: the URL has something else, or it cannot be reached.
    """
    folder = path_of(url)
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return None
        manifest = CorpusManifest.model_validate_json((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        manifest = None
    if manifest is None or manifest.stage != STAGE:
        raise FabulaError("this folder has unexpected files", where=url, hint="name a new folder with --out")
    return manifest


def put(folder: Path, url: str) -> None:
    """Copy a corpus to a URL, replacing what is there. The manifest is copied last, so that a corpus with a manifest is
    complete."""
    target = cast(Any, path_of(url))
    if target.exists():
        target.fs.rm(target.path, recursive=True)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    files.sort(key=lambda file: file.name == MANIFEST)
    for file in files:
        place = target / file.relative_to(folder).as_posix()
        place.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as reading, place.open("wb") as writing:
            shutil.copyfileobj(reading, writing, 1 << 22)
