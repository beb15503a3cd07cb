"""JavaScript libraries from the npm registry: fetched once, checked against their hashes, kept in the cache."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fabula.errors import FabulaError
from fabula.files import cache_place


@dataclass(frozen=True, slots=True)
class Library:
    """One version of an npm package.

    Attributes:
        integrity: SHA-512 of its archive, as npm states it.
        files: path in the archive -> name in the site.
    """

    name: str
    version: str
    integrity: str
    files: dict[str, str]


LIBRARIES = (
    Library(
        "@huggingface/transformers",
        "4.3.1",
        "sha512-5+voSeUCFK6PCKlY15dPhNOKq3/zOTxDN7oC+Wy9dFb1QZ0TSQomZRRy7URRK8YRuUoE9fGMQTTPC5d/pWBJhA==",
        {
            "package/dist/transformers.web.min.js": "transformers.js",
            "package/LICENSE": "transformers.LICENSE.txt",
        },
    ),
    Library(
        "onnxruntime-web",
        "1.31.0-dev.20260914-8d85527a0",
        "sha512-Iy7rtadoBgxS/LLvDr3QW38DB1PNXRnr0GJMcL0TAt7c9qjgVQl83UlGCVyeAnK2InpmW8Uc3PL8XIuqtDeF6g==",
        {
            "package/dist/ort.wasm.bundle.min.mjs": "onnxruntime.js",
            "package/dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
        },
    ),
)
"""The second is the version that the first one names in its package.json."""

IMPORTS = {'"onnxruntime-web/webgpu"': '"./onnxruntime.js"', '"onnxruntime-common"': '"./onnxruntime.js"'}
"""A worker cannot resolve bare package names, so in transformers.js they are replaced with the file beside it. The
build without WebGPU is used, which is half as large."""


def vendor(folder: Path) -> None:
    """Put the libraries' files into `folder`.

    Raises:
        FabulaError: npm is not installed or cannot fetch, or an archive is not the one that it should be.
    """
    for library in LIBRARIES:
        with tarfile.open(archive(library)) as opened:
            for path, name in library.files.items():
                source = opened.extractfile(path)
                assert source is not None, path
                with source, (folder / name).open("wb") as file:
                    shutil.copyfileobj(source, file)
    script = folder / "transformers.js"
    text = script.read_text(encoding="utf-8")
    for bare, local in IMPORTS.items():
        assert text.count(f"from{bare}") == 1, bare
        text = text.replace(f"from{bare}", f"from{local}")
    script.write_text(text, encoding="utf-8")


CDN = "https://cdn.jsdelivr.net"


def cdn_files() -> dict[str, dict[str, str]]:
    """Where the CDN has each file of the libraries that a browser runs, and the SHA-384 that it must have, taken from
    the npm registry's archive. The CDN hands out the files of that registry."""
    found = {}
    for library in LIBRARIES:
        with tarfile.open(archive(library)) as opened:
            for path, name in library.files.items():
                if not name.endswith(".txt"):
                    source = opened.extractfile(path)
                    assert source is not None, path
                    digest = base64.b64encode(hashlib.sha384(source.read()).digest()).decode()
                    place = path.removeprefix("package/")
                    found[name] = {
                        "url": f"{CDN}/npm/{library.name}@{library.version}/{place}",
                        "integrity": f"sha384-{digest}",
                    }
    return found


def archive(library: Library) -> Path:
    """The library's archive in the cache, fetched with npm if it is missing."""
    cache = cache_place("npm")
    file_name = f"{library.name.strip('@').replace('/', '-')}-{library.version}.tgz"
    kept = cache / file_name
    if kept.is_file() and integrity(kept) == library.integrity:
        return kept
    npm = shutil.which("npm")
    if npm is None:
        raise FabulaError(
            f"fetching {library.name} needs npm, which is not installed",
            hint="install Node.js (nodejs.org)",
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        done = subprocess.run(
            [npm, "pack", f"{library.name}@{library.version}", "--silent"],
            cwd=temporary,
            capture_output=True,
            text=True,
            check=False,
        )
        fetched = Path(temporary) / file_name
        if done.returncode or not fetched.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise FabulaError(
                f"npm cannot fetch {library.name} {library.version} ({lines[0] if lines else 'it does not say why'})"
            )
        if integrity(fetched) != library.integrity:
            raise FabulaError(
                f"{library.name} {library.version} from npm is not the expected file (wrong SHA-512)"
            )
        fetched.replace(kept)
    return kept


def integrity(path: Path) -> str:
    """SHA-512 of a file, in npm's notation."""
    with path.open("rb") as file:
        return "sha512-" + base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
