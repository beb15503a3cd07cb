"""Input and output on any file system that fsspec knows (s3://, gs://, hdfs://, ...)."""

import shutil
from pathlib import Path
from typing import Any, cast

from fabula.corpus.store import STAGE
from fabula.errors import FabulaError
from fabula.files import MANIFEST
from fabula.install import missing_extra
from fabula.results import CorpusManifest


def is_url(path: str | Path) -> bool:
    """Whether `path` names something on another file system than this machine's."""
    return "://" in str(path)


def path_of(source: str | Path) -> Path:
    """A path that reads like a `Path`; for a URL it does so over fsspec.

    Raises:
        FabulaError: what reads such a URL is not installed.
    """
    if not is_url(source):
        return Path(source)
    try:
        from upath import UPath

        return cast(Path, UPath(source))
    except (ImportError, ValueError) as error:
        raise missing_extra(f"this kind of address cannot be read ({error})", "scale", where=source) from None


def stamp(path: Path) -> str:
    """Changes when a remote file changes, without reading it (its time or ETag, and size)."""
    remote = cast(Any, path)
    return str(remote.fs.ukey(remote.path))


def manifest_at(url: str) -> CorpusManifest | None:
    """The manifest of a corpus at a URL, or None where nothing is there.

    Raises:
        FabulaError: something else is there, or it cannot be reached.
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
    """Copy a corpus to a URL in place of what is there. The manifest comes last, so that a corpus with one is whole."""
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
