"""The base of all formats: a format detects its files by their content, and reads stories from them."""

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import IO, ClassVar

import xxhash

from fabula.corpus.blocks import Block
from fabula.corpus.documents import EmptyDocument
from fabula.corpus.encodings import UTF8, Recoded, decode_start, is_utf8
from fabula.corpus.inputs import InputFile, valid_unicode
from fabula.corpus.lines import Begins, FileRange, Lines, begins_anywhere
from fabula.corpus.splitting.cut import Part, cut_blocks
from fabula.corpus.splitting.pages import Removed
from fabula.corpus.splitting.split import WHOLE, Split
from fabula.corpus.tables.columns import NO_COLUMNS, Columns
from fabula.errors import FabulaError
from fabula.story import Story, count_words

SPLIT_NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
SPLIT_NAMES |= {"dev": "validation", "eval": "validation", "test": "test"}

MAX_DOCUMENT_BYTES = 256 << 20
"""The largest file that is read as a whole."""


@dataclass(frozen=True)
class Sample:
    """The beginning of a file, from which its format is detected.

    Attributes:
        name: the file's name; it decides only if the content is ambiguous.
        head: its first bytes, decompressed.
        is_whole: whether these are all bytes of the file.
        encoding: its encoding, if it is text.
    """

    name: str
    head: bytes
    is_whole: bool
    encoding: str = UTF8

    @cached_property
    def text(self) -> str:
        """`head` as text; bytes that are invalid in its encoding are U+FFFD."""
        return decode_start(self.head, self.encoding)

    @property
    def suffix(self) -> str:
        """The suffix of the name without that of a compression, such as ".csv"."""
        name = self.name.lower()
        for ending in (".gz", ".bz2", ".xz", ".zst"):
            name = name.removesuffix(ending)
        return "." + name.rpartition(".")[2] if "." in name else ""


LINE_WRAPS = "line_wraps"
"""The reason for line ends that are left out because lines are broken at one width."""


@dataclass(frozen=True, slots=True)
class ReaderRemoval:
    """Something that was left out while reading, before there was a story that it belonged to.

    Attributes:
        source: the file, as in `Story.source`.
        line: its 1-based line, row or block; 0 for a whole file.
        reason: why, in a word ("front-matter", "page-number", "empty-row").
        text: what was left out, or a description if it is not text; for `LINE_WRAPS`, how many line ends were joined.
    """

    source: str
    line: int
    reason: str
    text: str


@dataclass
class ReadingLog:
    """What is known about a range after its stories were read: its number of lines, and what was left out."""

    num_lines: int = 0
    removals: list[ReaderRemoval] = field(default_factory=list)

    def leave_out(self, source: str, removed: Iterable[Removed]) -> None:
        """Note what was left out of a file."""
        self.removals += [ReaderRemoval(source, line, reason, text) for line, reason, text in removed]


@dataclass(frozen=True)
class FilePlan:
    """How a file is read.

    Attributes:
        file: the file.
        format: name of its format in `table.FORMATS`.
        encoding: of its text, as Python names it.
        columns: of a table.
        split: of text and documents: where stories begin.
        is_alone: whether this text is the whole input; its end then becomes a separate story, so that it can be held
            out.
        line_ends: "" for LF or CRLF; "cr" if lines end with only CR, "unicode" if with Unicode's separators.
        book: the book that this file is a chapter of, and `part`: its number there, from 1; "" and 0 if it is not a
            chapter.
    """

    file: InputFile
    format: str
    encoding: str = UTF8
    columns: Columns = NO_COLUMNS
    split: Split = WHOLE
    is_alone: bool = False
    line_ends: str = ""
    book: str = ""
    part: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the bytes are UTF-8 with LF or CRLF already."""
        return is_utf8(self.encoding) and not self.line_ends

    @property
    def name(self) -> str:
        """The file's name in `Story.source` and in errors."""
        return self.file.name

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file's bytes; those of text in another encoding as UTF-8."""
        with self.file.open() as file:
            if self.is_plain:
                yield file
            else:
                yield io.BufferedReader(Recoded(file, self.encoding, self.name, self.line_ends == "unicode"))

    @contextmanager
    def open_lines(
        self, part: FileRange, log: ReadingLog, begins: Begins = begins_anywhere
    ) -> Iterator[Lines]:
        """The lines of a range, as UTF-8."""
        with self.open() as file:
            lines = Lines(file, self.name, part.start, part.end, begins)
            try:
                yield lines
            finally:
                log.num_lines = lines.num_lines

    def read_bytes(self) -> bytes:
        """All bytes of the file, decompressed; those of text in another encoding as UTF-8.

        Raises:
            FabulaError: the file has more than `MAX_DOCUMENT_BYTES`.
        """
        with self.open() as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
        if len(data) > MAX_DOCUMENT_BYTES:
            raise FabulaError(f"this file is larger than {MAX_DOCUMENT_BYTES >> 20} MiB", where=self.name)
        return data


class Format(ABC):
    """One way that stories are stored in a file."""

    name: ClassVar[str]
    """Its name for `--format`."""
    description: ClassVar[str]
    """Its description for the user: "a Word document"."""
    is_text: ClassVar[bool] = False
    """Whether files are text, whose encoding has to be detected."""

    @abstractmethod
    def detect(self, sample: Sample) -> bool:
        """Whether a file is of this format. Formats are tried in the order of the table."""

    @abstractmethod
    def stories(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Story]:
        """The stories that begin in a range of a file, in order.

        Raises:
            FabulaError: the file is damaged, or no story can be read from it.
        """

    def can_cut(self, plan: FilePlan) -> bool:
        """Whether the file can be read from any byte range, if it is plain UTF-8."""
        return False


class DocumentFormat(Format):
    """A format with one document per file, which becomes blocks; where stories begin in them is found afterwards."""

    @abstractmethod
    def blocks(self, data: bytes, name: str, log: ReadingLog) -> list[Block]:
        """The document in a file's bytes. What is neither text nor structure (scripts, page numbers) goes to the log.

        Raises:
            FabulaError: the file is damaged or holds no text.
        """

    def stories(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Story]:
        try:
            blocks = self.blocks(plan.read_bytes(), plan.name, log)
        except EmptyDocument as error:  # a lone one was refused before
            log.removals.append(ReaderRemoval(plan.name, 0, "file", error.what))
            return
        if (
            plan.format == "html"
            and plan.split.kind == "file"
            and not plan.is_alone
            and sum(count_words(block.text) for block in blocks) < _FEW_WORDS
        ):
            log.removals.append(ReaderRemoval(plan.name, 0, "file", "a page of links"))
            return
        parts, removed = cut_blocks(blocks, plan.split)
        log.leave_out(plan.name, removed)
        yield from part_stories(parts, plan, log)


_FEW_WORDS = 12
"""A web page among others with fewer words, not counting links, holds no story."""

LAST_SHARE = 0.1
"""Share of a single text that becomes a separate story."""


def part_stories(parts: Sequence[Part], plan: FilePlan, log: ReadingLog) -> Iterator[Story]:
    """The stories of a document's parts; those of a book, and of a single text, have part numbers."""
    parts = [part for part in parts if part.text.strip()]
    if plan.is_alone and len(parts) == 1:
        parts = _with_end_apart(parts[0])
    is_book = len(parts) > 1 and (plan.split.is_book or plan.is_alone)
    for number, part in enumerate(parts, 1):
        story = make_story(part.text.strip(), plan.name, part.line, part.title)
        if plan.book:
            yield replace(story, book=plan.book, part=plan.part)
        else:
            yield replace(story, book=plan.name, part=number) if is_book else story


def _with_end_apart(part: Part) -> list[Part]:
    """A text in two parts, cut between paragraphs, or else between sentences: the second is about its last tenth."""
    wanted = (1 - LAST_SHARE) * len(part.text)
    near = 0
    for border in (r"\n\s*", r"[.!?…][\"”’')]*\s+|[。！？][」』”]?"):
        places = [match.end() for match in re.finditer(border, part.text)]
        near = near or min(places, key=lambda place: abs(place - wanted), default=0)
    if near < 0.5 * len(part.text) or count_words(part.text) < 100:
        return [part]
    line = part.line + part.text.count("\n", 0, near)
    return [Part(part.title, part.text[:near], part.line), Part(part.title, part.text[near:], line)]


def not_utf8(error: UnicodeDecodeError, name: str) -> FabulaError:
    """The error for a file that is not text in UTF-8, although its beginning is."""
    what = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
    return FabulaError(what, where=name, hint="name the file's encoding, for example --encoding windows-1252")


def make_story(text: str, name: str, line: int, title: str = "", split: str = "") -> Story:
    """A raw story; its id is the XXH3 hash (128 bit) of its text."""
    text, title = valid_unicode(text), valid_unicode(title)
    story_id = xxhash.xxh3_128_hexdigest(text.encode())
    return Story(id=story_id, text=text, source=name, source_line=line, title=title, split=split)
