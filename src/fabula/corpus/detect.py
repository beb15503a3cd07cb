"""Detects what is in files: their formats and encodings, and where stories begin in text and documents."""

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from fabula.corpus import documents
from fabula.corpus.encodings import UTF8, find_encoding, mixed_with
from fabula.corpus.formats.base import DocumentFormat, FilePlan, Format, ReaderRemoval, ReadingLog, Sample
from fabula.corpus.formats.markdown import why_no_story
from fabula.corpus.formats.table import FORMATS
from fabula.corpus.inputs import InputFile, read_up_to
from fabula.corpus.splitting.choose import ReadSample, choose_named, choose_split
from fabula.corpus.splitting.markers import find_markers, refuse_odd_marks
from fabula.corpus.splitting.split import Split
from fabula.errors import FabulaError

SAMPLE_BYTES = 1 << 20
"""Bytes of a file from which its format is detected."""

_SPLIT_CHARS = 1 << 19
"""Characters of a larger file from which the way to cut is chosen."""

_MAX_CHECKED = 64 << 20
"""Bytes from which an encoding other than UTF-8 is detected."""

_MAX_SAMPLED = 24
"""Number of files, spread over all, from which the way to cut is chosen."""

_NO_STORIES = {
    ".py", ".js", ".css", ".ts", ".c", ".h", ".cpp", ".java", ".rs", ".go", ".sh", ".bat", ".ini", ".cfg", ".toml", ".yaml",
    ".yml", ".log", ".svg", ".xsl", ".xsd", ".dtd", ".opf", ".ncx", ".bib", ".sty", ".url", ".lnk", ".ipynb", ".lock",
    ".edn", ".conf", ".map", ".rb", ".php", ".pl", ".lua", ".jsx", ".tsx", ".vue", ".scss", ".sql",
}  # fmt: skip
_OF_DATASETS = {"state.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
"""Files that `datasets` writes next to its data."""

_CHAPTER_NAME = re.compile(
    r"(?:\b|_)(?:chapter|chap|ch|kapitel|kap|chapitre|cap[ií]tulo|глава|part|episode)[\s_.-]*\d+|第.{1,4}[章回]",
    re.IGNORECASE,
)
PROMPTS = "the prompts"
"""Why a file of prompts beside its stories is not read for stories."""

_BESIDE = re.compile(r"[ _-]+(?:notes|synopsis)$", re.IGNORECASE)
"""What Scrivener adds to the name of a text for the files of its notes."""

_ABOUT = re.compile(
    r"(?:readme|license|licence|copying|changelog|requirements|robots|manifest|archive_browser|gemfile|makefile|dockerfile)\b.*|about(?:[ _-](?:me|us))?\.\w+",
    re.IGNORECASE,
)


@dataclass
class FoundFiles:
    """Files with stories.

    Attributes:
        plans: how each is read, as far as its content alone shows; in the order of the files.
        samples: the beginning of each, by name.
        passed_over: files that are not read; `text` says why.
    """

    plans: list[FilePlan] = field(default_factory=list)
    samples: dict[str, Sample] = field(default_factory=dict)
    passed_over: list[ReaderRemoval] = field(default_factory=list)

    def pass_over(self, name: str, why: str) -> None:
        """Note that a file is not read."""
        self.passed_over.append(ReaderRemoval(name, 0, "file", why))


def find_formats(files: Sequence[InputFile], format: str | None, encoding: str | None) -> FoundFiles:
    """The format and encoding of each file. If there are several files, those without stories are passed over.

    Raises:
        FabulaError: the only file cannot be read, or an encoding cannot be detected.
    """
    found = FoundFiles()
    names = {file.name for file in files}
    for file in files:
        if len(files) > 1 and (reason := _why_not(file.name, names)):
            found.pass_over(file.name, reason)
            continue
        with file.open() as opened:
            head = read_up_to(opened, SAMPLE_BYTES + 1)
        sample = Sample(file.name, head[:SAMPLE_BYTES], len(head) <= SAMPLE_BYTES)
        chosen = FORMATS[format] if format else None
        if chosen is None or chosen.is_text:
            chosen, sample = _detect(file, sample, chosen, encoding)
        if chosen is None:
            if len(files) > 1:
                found.pass_over(file.name, "no text")
                continue
            raise FabulaError(
                "this is neither text nor a document that fabula reads",
                where=file.name,
                hint="save the stories as text, .docx, .odt, .rtf, .epub, .html, PDF, CSV or JSON Lines",
            )
        reason = ""
        if len(files) > 1 and chosen.name in ("markdown", "text"):
            reason = why_no_story(sample.text) or _why_list(sample.text, names)
        elif len(files) > 1 and chosen.name == "unread":
            reason = documents.why_no_story(documents.document_kind(sample.head))
        if reason:
            found.pass_over(file.name, reason)
            continue
        line_ends = _line_ends(sample) if chosen.is_text else ""
        found.plans.append(FilePlan(file, chosen.name, sample.encoding, line_ends=line_ends))
        found.samples[file.name] = sample
    _pass_over_twins(found)
    return found


def _pass_over_twins(found: FoundFiles) -> None:
    """Pass over files that cannot be read beside one with the same name that can, as in the folders of Calibre."""
    read = {PurePosixPath(plan.name).with_suffix("") for plan in found.plans if plan.format != "unread"}
    for plan in list(found.plans):
        if plan.format == "unread" and PurePosixPath(plan.name).with_suffix("") in read:
            found.plans.remove(plan)
            del found.samples[plan.name]
            found.pass_over(plan.name, "the file of the same name beside it is read")


def _why_list(text: str, names: set[str]) -> str:
    """Why a text among files called `names` is not read if it is a list of short items, or if nearly all of its first lines
    name one of the files; else ""."""
    lines = [line.casefold() for line in text.splitlines() if line.strip()][:_INDEX_LINES]
    if len(lines) < 3:
        return ""
    if all(_ITEM.fullmatch(line) for line in lines):
        return "a list"
    if not any(re.search(r"\.\w{2,5}\b", line) for line in lines[:2]):
        return ""
    files = [PurePosixPath(name).name.casefold() for name in names]
    named = sum(any(name in line for name in files) for line in lines)
    return "a list of the files" if named >= 0.8 * len(lines) else ""


_INDEX_LINES = 40
_ITEM = re.compile(r"\s*[-*+•–] (?:\S+ ){0,14}\S*[^\s.!…\"”’]\s*")
"""A short item of a list that is no sentence."""


def _line_ends(sample: Sample) -> str:
    """How lines end: see `FilePlan.line_ends`."""
    if b"\n" in sample.head:
        return ""
    if b"\r" in sample.head:
        return "cr"
    return "unicode" if "\n" in sample.text else ""


def _why_not(name: str, names: set[str]) -> str:
    """Why a file among others is not read, by its name; "" if it is read."""
    path = PurePosixPath(name)
    if path.suffix == ".wp_source" and str(path.with_suffix(".wp_target")) in names:
        return PROMPTS
    beside = _BESIDE.sub("", path.stem)
    if beside != path.stem and any(
        PurePosixPath(name).with_suffix("") == path.with_name(beside) for name in names
    ):
        return "notes on the file beside it"
    for parent in path.parents:
        page = str(parent).removesuffix("_files")
        if page != str(parent) and not names.isdisjoint({page + ".html", page + ".htm"}):
            return "a part of the web page beside it"
    if path.suffix.lower() in _NO_STORIES or path.name in _OF_DATASETS:
        return "no stories"
    return "about the files" if _ABOUT.fullmatch(path.name) and len(names) > 1 else ""


def _detect(
    file: InputFile, sample: Sample, named: Format | None, encoding: str | None
) -> tuple[Format | None, Sample]:
    """The format of a file, and its sample with the detected encoding."""
    candidates = list(FORMATS.values()) if named is None else [named]
    for format in candidates:
        if not format.is_text and format.detect(sample):
            return format, sample
    if not encoding and b"\0" in sample.head[:4096] and find_encoding(sample.head, file.name) == UTF8:
        return None, sample
    sample = replace(sample, encoding=encoding or _encoding_of(file, sample))
    for format in candidates:
        if format.is_text and (named or format.detect(sample)):
            return format, sample
    return FORMATS["text"] if encoding else None, sample


def _encoding_of(file: InputFile, sample: Sample) -> str:
    """The encoding of a text file. If its beginning is UTF-8, the rest is checked as well."""
    if sample.is_whole or find_encoding(sample.head, file.name) != UTF8:
        return find_encoding(sample.head, file.name)
    decoder = codecs.getincrementaldecoder("utf-8")()
    size = 0
    with file.open() as opened:
        while size < _MAX_CHECKED and (block := opened.read(1 << 20)):
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return _late(sample, block, file.name)
            size += len(block)
    return UTF8


def _late(sample: Sample, block: bytes, name: str) -> str:
    """The encoding of a file whose first bytes beyond ASCII are far from its beginning; if there are some in `sample`, UTF-8 with
    another one, or UTF-8, so that the error while reading names the place."""
    return (
        find_encoding(block, name) if sample.head.isascii() else mixed_with(block.partition(b"\n")[2]) or UTF8
    )


def plan_prose(
    plans: Sequence[FilePlan], samples: Mapping[str, Sample], split_at: str | None
) -> tuple[list[FilePlan], str]:
    """Where stories begin in files of text and documents, with a description. Files with markers are cut at these,
    whatever the other files have. `samples` are those of all files that are read.

    Raises:
        FabulaError: a document cannot be read, or two ways are equally likely.
    """
    marked: dict[str, Split] = {}
    if split_at is None:
        for plan in plans:
            if FORMATS[plan.format].is_text and (
                split := find_markers([samples[plan.name].text[:_SPLIT_CHARS]])
            ):
                marked[plan.name] = split
                refuse_odd_marks(samples[plan.name].text, plan.name, split)
    others = [plan for plan in plans if plan.name not in marked]
    formats = sorted({FORMATS[plan.format].description for plan in plans})
    described = []
    chosen = dict(marked.items())
    if marked:
        described += sorted({split.description for split in marked.values()})
    if others:
        spread = [others[len(others) * part // _MAX_SAMPLED] for part in range(_MAX_SAMPLED)]
        sampled = others if len(others) <= _MAX_SAMPLED else spread
        read = [_read_sample(plan, samples[plan.name], len(samples) == 1) for plan in sampled]
        read = [sample for sample in read if sample.blocks or (sample.text or "").strip()] or read
        split, why = (
            choose_split(read) if split_at is None else (choose_named(split_at, read), "named by you")
        )
        chosen |= {plan.name: split for plan in others}
        described.append(f"{split.description} ({why})")
    planned = _chapters([replace(plan, split=chosen[plan.name]) for plan in plans])
    return planned, f"{', '.join(formats)}: {', '.join(described)}"


def _chapters(plans: Sequence[FilePlan]) -> list[FilePlan]:
    """The plans, with the files of a folder that are named as chapters and are not cut as parts of one book, in
    order."""
    folders: dict[str, list[int]] = {}
    for number, plan in enumerate(plans):
        path = PurePosixPath(plan.name)
        if plan.split.kind == "file" and _CHAPTER_NAME.search(path.stem):
            folders.setdefault(str(path.parent), []).append(number)
    made = list(plans)
    for folder, numbers in folders.items():
        if len(numbers) >= 3:
            for part, number in enumerate(numbers, 1):
                made[number] = replace(plans[number], book=f"{folder}/", part=part)
    return made


def _read_sample(plan: FilePlan, sample: Sample, is_alone: bool) -> ReadSample:
    format = FORMATS[plan.format]
    if isinstance(format, DocumentFormat):
        try:
            blocks = format.blocks(plan.read_bytes(), plan.name, ReadingLog())
        except documents.EmptyDocument:
            if is_alone:
                raise
            blocks = []
        return ReadSample(plan.name, document=tuple(blocks))
    text = sample.text
    if not sample.is_whole:
        text = text[:_SPLIT_CHARS]
        text = text[: text.rfind("\n") + 1] or text
    return ReadSample(plan.name, text=text, is_whole=sample.is_whole)
