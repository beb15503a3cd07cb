"""The result of reading a document, and the collector that builds it."""

import itertools
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from fabula.corpus.blocks import Block
from fabula.corpus.splitting.headings import CHAPTER, NUMERAL, PART, find_heading, numeral_value

_SYMBOLS = re.compile(
    r"[\s*#~_=•·●○◆◇◊❖❦❧☙⁂※§+✦✧★☆♦▪■□-]*[*#~•●○◆◇◊❖❦❧☙⁂※§✦✧★☆♦▪■□][\s*#~_=•·●○◆◇◊❖❦❧☙⁂※§+✦✧★☆♦▪■□-]*"
)
_RULED = re.compile(r"[\s_=–—―⸺⸻-]{3,}")
_LETTERS = re.compile(
    r"(?=.*(?:\w\W*\w\W*\w|\W\w\W))(?:[-~=*.\s|/\\]*(?:[oO0]{1,3}|[xX]{1,3}))+[-~=*.\s|/\\]*"
)
_WORDS = re.compile(
    r"[\[(<~*=\s-]*(?:scene|line|page|section|time)\s?(?:break|skip)[\])>~*=\s-]*", re.IGNORECASE
)

MAX_HEADING = 90
"""In characters. A longer line that looks like a heading is a paragraph in bold type."""

OWN_STYLE = "style"
"""The first part of the format of a paragraph that only the name of its style, or its number, tells from others."""

_NO_HEADING = re.compile(
    r"(?:author'?s?’?s? |chapter |end |beta )*(?:notes?|a/?n)\b|summary\b|disclaimer|warning|rating|the end\W*$|fin\W*$"
    r"|to be continued|tbc\b|by \S|.*[,;]$|[“\"‘'(\[-]|.*[a-z][.!?…][”\"’']?$",
    re.IGNORECASE,
)
"""Bold or centred lines that are not headings of chapters: labels of notes, an ending, a name, a sentence."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Text of a document that is not story.

    Attributes:
        text: the text itself.
        reason: "contents", "navigation", "front_matter", "footnote", "running_head", "page_number", "boilerplate",
            "author_note", "deleted" (by its author, as tracked changes keep it) or "hidden".
        line: line of the block after it.
    """

    text: str
    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class Document:
    """Blocks in reading order, what was left out, and the title that the file names, or ""."""

    blocks: list[Block]
    left_out: list[LeftOut] = field(default_factory=list)
    title: str = ""


def is_divider(text: str) -> bool:
    """Whether a line is a scene break: `* * *`, `#`, `---`, `oOo`, `[scene break]`."""
    return len(text) <= 100 and any(
        pattern.fullmatch(text) for pattern in (_SYMBOLS, _RULED, _LETTERS, _WORDS) if text.strip()
    )


LONG_CELL, SHORT_CELL = 40, 12
"""In words: a cell of a table with a story has at least as many, and one that only describes it at most as many."""


def story_rows(rows: Sequence[Sequence[str]]) -> dict[int, tuple[str, int]]:
    """The rows of a table in a document that hold a story each: by the row's number the title from the other cells, and
    the number of the story's cell. Empty if it is no such table, but for example the layout of a page."""
    found: dict[int, tuple[str, int]] = {}
    for number, cells in enumerate(rows):
        long = [at for at, cell in enumerate(cells) if len(cell.split()) >= LONG_CELL]
        others = [cell for at, cell in enumerate(cells) if at not in long]
        if len(long) == 1 and others and all(len(cell.split()) <= SHORT_CELL for cell in others):
            title = " ".join(" ".join(cell.split()) for cell in others if re.search(r"[^\W\d]", cell))
            found[number] = title or f"#{number + 1}", long[0]
    return found if len(found) >= 3 and len(found) >= len(rows) - 1 else {}


class Collector:
    """Collects the parts of a document in order and makes its blocks.

    Paragraphs without text are empty lines. If a document has few of them, or several together, they are scene breaks.
    """

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._left_out: list[LeftOut] = []
        self._looks: dict[int, Hashable] = {}
        self._gaps: dict[int, int] = {}
        self._empty = 0

    def heading(self, text: str, level: int) -> None:
        if text := text.strip():
            self._add("heading", text, level)

    def paragraph(self, text: str, look: Hashable = None) -> None:
        """Add a paragraph; `look` is its format if it looks like a heading, else None."""
        text = text.strip()
        if not text:
            self._empty += 1
        elif is_divider(text):
            self.divider()
        else:
            self._add("paragraph", text)
            if look is not None:
                self._looks[len(self._blocks) - 1] = look

    def divider(self) -> None:
        if not self._blocks or self._blocks[-1].kind != "divider":
            self._add("divider", "")

    def leave_out(self, text: str, reason: str) -> None:
        if not (text := text.strip()):
            return
        line = len(self._blocks) + 1
        if self._left_out and (last := self._left_out[-1]).reason == reason and last.line == line:
            self._left_out[-1] = LeftOut(f"{last.text}\n{text}", reason, line)
        else:
            self._left_out.append(LeftOut(text, reason, line))

    def document(self, title: str = "") -> Document:
        blocks = self._with_scene_breaks(self._with_plain_headings())
        while blocks and blocks[-1].kind == "divider":
            blocks.pop()
        return Document(blocks, self._left_out, title.strip())

    def _add(self, kind, text: str, level: int = 0) -> None:
        if self._empty and self._blocks:
            self._gaps[len(self._blocks)] = self._empty
        self._empty = 0
        if kind != "divider" or self._blocks:
            self._blocks.append(Block(kind, text, level, len(self._blocks) + 1))

    def _with_plain_headings(self) -> list[Block]:
        """The blocks; if there are no headings, or only one, those that look like one become headings."""
        marked = [block.level for block in self._blocks if block.kind == "heading"]
        if len(marked) > 1:
            return list(self._blocks)
        level = max(marked, default=0) + 1
        if chapters := self._named_chapters():
            return [
                replace(block, kind="heading", level=level) if at in chapters else block
                for at, block in enumerate(self._blocks)
            ]
        found: dict[Hashable, list[int]] = {}
        for at, look in self._looks.items():
            text = self._blocks[at].text
            if len(text) <= MAX_HEADING and "\n" not in text and not _NO_HEADING.match(text):
                found.setdefault(look, []).append(at)
        blocks = list(self._blocks)
        times = Counter(self._looks.values())
        for look, places in found.items():
            texts = {blocks[at].text for at in places}
            runs = sum(b - a == 1 for a, b in itertools.pairwise(places))
            if isinstance(look, tuple) and look[0] == OWN_STYLE and len(places) < times[look]:
                continue  # also longer paragraphs have this style
            if 2 <= len(places) <= len(blocks) / 3 and len(texts) == len(places) and runs <= len(places) / 2:
                for at in places:
                    blocks[at] = replace(blocks[at], kind="heading", level=level)
        return blocks

    def _named_chapters(self) -> set[int]:
        """Paragraphs that are headings by their words alone ("Chapter One"), if there are several."""
        found = set()
        for at, block in enumerate(self._blocks):
            if block.kind == "paragraph" and len(block.text) <= MAX_HEADING and "\n" not in block.text:
                heading = find_heading(block.text, True)
                if heading and heading.level in (PART, CHAPTER):
                    found.add(at)
        texts = {self._blocks[at].text for at in found}
        return found if len(found) > 1 and len(texts) == len(found) else self._numbers()

    def _numbers(self) -> set[int]:
        """Paragraphs that are only numbers, if they count up from 1 and there is text between them."""
        found: list[int] = []
        for at, block in enumerate(self._blocks):
            is_short = block.kind == "paragraph" and len(block.text) <= MAX_HEADING
            heading = find_heading(block.text, True) if is_short else None
            is_word = block.text.isalpha() and not block.text.isupper()  # "i" may be one
            if heading and heading.level == NUMERAL and not is_word:
                found.append(at)
        values = [numeral_value(self._blocks[at].text) for at in found]
        apart = all(after - here > 1 for here, after in itertools.pairwise(found))
        return set(found) if len(found) > 2 and apart and values == list(range(1, len(found) + 1)) else set()

    def _with_scene_breaks(self, blocks: list[Block]) -> list[Block]:
        """The blocks, with dividers in place of empty lines that are wider or rarer than the gaps between
        paragraphs."""
        between = [
            at for at in range(1, len(blocks)) if blocks[at - 1].kind == blocks[at].kind == "paragraph"
        ]
        usual = Counter(self._gaps.get(at, 0) for at in between)
        if not between or not self._gaps:
            return blocks
        common = usual.most_common(1)[0][0]
        wider = {at for at in between if self._gaps.get(at, 0) > common}
        if common and not all(self._gaps[at] >= common + 2 for at in wider):
            wider = {at for at in wider if self._gaps[at] >= common + 2}
        if len(wider) > len(between) / 4:
            return blocks
        made = []
        for at, block in enumerate(blocks):
            if at in wider:
                made.append(Block("divider", "", 0, block.line))
            made.append(block)
        return made
