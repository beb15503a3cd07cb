"""A static site that runs a model in the visitor's browser: only files, for any web server."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from importlib.resources import as_file
from importlib.resources import files as package_files
from pathlib import Path

import yaml

from fabula.files import atomic_folder, check_is_ours, fingerprint, hash_file, write_json
from fabula.models.records import ModelRecords
from fabula.progress import OnProgress, Progress, silent
from fabula.publishing.evidence import check_evidence
from fabula.publishing.licences import check_licence
from fabula.publishing.vendor import CDN, IMPORTS, cdn_files, vendor
from fabula.report.facts import PageData, Section, export_facts

PAGE = (
    "style.css",
    "app.js",
    "story.js",
    "settings.js",
    "prompt.js",
    "shelf.js",
    "files.js",
    "guess.js",
    "words.js",
    "element.js",
    "theme.js",
    "icon.svg",
)
OWN = ("writer.js", "engine.js", "passage.js", "sampling.js", "vocabulary.js")
LIBRARIES = "libraries.js"
LIBRARIES_CDN = "libraries_cdn.js"
OFFLINE = "offline.js"
DATA = "model.json"

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Tells the browser to load nothing from other hosts, and to send nothing to them."""

LARGE_MODEL_BYTES = 50_000_000
"""A larger model takes long to download and writes slowly in a browser (docs/publishing.md has figures)."""

LIMITS = {"max_prompt_chars": 1_000_000, "max_new_tokens": 400}


@dataclass(frozen=True, slots=True)
class StaticSite:
    """A site that was written.

    Attributes:
        folder: where.
        model_bytes: size of the model's files.
        library_bytes: size of the libraries'.
        page_bytes: size of all others.
    """

    folder: Path
    model_bytes: int
    library_bytes: int
    page_bytes: int


def publish_static(
    model: str | Path,
    out: str | Path,
    *,
    license: str | None = None,
    corpus_license: str | None = None,
    vendored: bool = True,
    anyway: bool = False,
    on_progress: OnProgress = silent,
) -> StaticSite:
    """Write a static site that runs a model in the visitor's browser.

    The model is exported to ONNX with weights of 8 bits, and the export is compared with the original. The libraries
    come from the npm registry and are checked against their hashes.

    Args:
        model: folder of a model or of a run.
        out: the site's folder; an earlier site in it is replaced.
        license, corpus_license, anyway: as for `publish`.
        vendored: whether the libraries lie in the site, which then loads nothing from elsewhere; if not, the visitor's
            browser takes the very same files from a CDN, and refuses any other.

    Raises:
        FabulaError: a licence that is not stated, an evaluation that is no evidence, a folder that holds something else, a model that cannot be exported,
            or a library that cannot be fetched.
    """
    licence = check_licence(license, "--license", "the model")
    corpus_licence = check_licence(corpus_license, "--corpus-license", "the stories that it was trained on")
    out = Path(out)
    if not (out / OFFLINE).is_file():
        check_is_ours(out, "--static")
    from fabula.exporting.export import export
    from fabula.models.bases import ATTRIBUTION, BUNDLED_TINY, TINY
    from fabula.models.find import find_model

    folder = find_model(model)
    records = ModelRecords.of(folder)
    check_evidence(records, anyway=anyway)
    with tempfile.TemporaryDirectory(prefix="fabula-static-") as temporary, atomic_folder(out) as site:
        exported = Path(temporary) / "onnx"
        measured = export(folder, "onnx", out=exported, on_progress=on_progress)
        copy_model(exported, site / "model")
        if records.base == TINY:
            shutil.copyfile(BUNDLED_TINY / ATTRIBUTION, site / ATTRIBUTION)
        on_progress(Progress("publish", message="fetching the libraries from the npm registry"))
        elsewhere = {} if vendored else cdn_files()
        if vendored:
            (site / "vendor").mkdir()
            vendor(site / "vendor")
        copy_page(site, elsewhere)
        extra = [
            Section(title="In this browser", facts=export_facts([measured])),
            Section(
                title="Licence",
                facts=[("The model", licence), ("The stories that it was trained on", corpus_licence)],
            ),
        ]
        write_data(site, records, extra)
        write_offline(site, [file["url"] for file in elsewhere.values()])
        write_host_files(site, records.name, licence)
        sizes = [
            (path.relative_to(site).parts[0], path.stat().st_size)
            for path in site.rglob("*")
            if path.is_file()
        ]
    return StaticSite(
        folder=out,
        model_bytes=sum(size for part, size in sizes if part == "model"),
        library_bytes=sum(size for part, size in sizes if part == "vendor"),
        page_bytes=sum(size for part, size in sizes if part not in ("model", "vendor")),
    )


def write_data(site: Path, records: ModelRecords, extra: list[Section]) -> None:
    """The model's data for the page's JavaScript; `extra` is shown in addition to the facts from the records."""
    from fabula.generation.engine import TextSide, end_ids_of
    from fabula.generation.settings import SamplingSettings

    folder = records.folder
    text = TextSide.of(folder)
    limits = {**LIMITS, "context_length": text.context_length}
    data = PageData.of(records, SamplingSettings.of_model(folder), limits, copies=False)
    data = data.model_copy(update={"about": [*data.about, *extra]})
    engine = {
        "dtype": "q8",
        "start_id": text.start_id,
        "end_ids": sorted(end_ids_of(folder) | {text.end_id}),
        "context_length": text.context_length,
    }
    write_json(site / DATA, {**data.model_dump(mode="json"), "engine": engine})


def copy_model(exported: Path, target: Path) -> None:
    """The files of an export that transformers.js reads: configuration, tokenizer, and only the quantised weights."""
    (target / "onnx").mkdir(parents=True)
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        if (exported / name).is_file():
            shutil.copyfile(exported / name, target / name)
    shutil.copyfile(exported / "onnx" / "model_quantized.onnx", target / "onnx" / "model_quantized.onnx")


def copy_page(site: Path, elsewhere: dict[str, dict[str, str]]) -> None:
    """The same page that a server shows, with the writer that works in the browser.

    Args:
        elsewhere: the libraries' files that come from a CDN (see `cdn_files`); empty where they lie in the site.
    """
    package = package_files("fabula")
    for names, place in ((PAGE, package / "serving" / "page"), (OWN, package / "publishing" / "static_site")):
        for name in names:
            with as_file(place / name) as source:
                shutil.copyfile(source, site / name)
    index = (package / "serving" / "page" / "index.html").read_text(encoding="utf-8")
    mark = '<meta charset="utf-8">'
    allowed = POLICY
    libraries = package / "publishing" / "static_site" / (LIBRARIES_CDN if elsewhere else LIBRARIES)
    script = libraries.read_text(encoding="utf-8")
    if elsewhere:
        allowed = allowed.replace("script-src 'self'", "script-src 'self' blob:")
        allowed = allowed.replace("connect-src 'self'", f"connect-src 'self' {CDN}")
        names = [bare.strip('"') for bare in IMPORTS]
        script = script.replace("@FILES@", json.dumps(elsewhere, indent=2)).replace(
            "@IMPORTS@", json.dumps(names)
        )
    (site / LIBRARIES).write_text(script, encoding="utf-8")
    policy = f'{mark}\n  <meta http-equiv="Content-Security-Policy" content="{allowed}">'
    (site / "index.html").write_text(index.replace(mark, policy, 1), encoding="utf-8")


def write_offline(site: Path, elsewhere: list[str]) -> None:
    """The service worker that caches all files, including those from a CDN; the name of the cache changes with their
    content."""
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file())
    version = fingerprint([[name, hash_file(site / name)] for name in names])
    source = (package_files("fabula") / "publishing" / "static_site" / OFFLINE).read_text(encoding="utf-8")
    wanted = json.dumps(["./", *(name for name in names if not name.endswith(".txt")), *elsewhere], indent=2)
    (site / OFFLINE).write_text(
        source.replace("@VERSION@", version).replace("@FILES@", wanted), encoding="utf-8"
    )


def write_host_files(site: Path, title: str, licence: str) -> None:
    """Files that hosts need: GitHub Pages, and a static Space."""
    (site / ".nojekyll").touch()
    head = {
        "title": title[:60],
        "emoji": "📖",
        "colorFrom": "green",
        "colorTo": "yellow",
        "sdk": "static",
        "license": licence,
    }
    text = f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n# {title}\n\nA page to write stories on. The model runs in the visitor's browser.\n\nTry it here: `python -m http.server`, then open http://localhost:8000.\n"
    (site / "README.md").write_text(text, encoding="utf-8")
