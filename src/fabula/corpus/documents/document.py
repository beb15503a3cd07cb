"""The result of reading a document, and the collector that builds it."""

import itertools
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from fabula.corpus.blocks import Block
from fabula.corpus.splitting.headings import CHAPTER, NUMERAL, PART, TITLE, find_heading, numeral_value

_SYMBOLS = re.compile(
    r"[\s*#~_=•·●○◆◇◊❖❦❧☙⁂※§+✦✧★☆♦▪■□-]*[*#~•●○◆◇◊❖❦❧☙⁂※§✦✧★☆♦▪■□][\s*#~_=•·●○◆◇◊❖❦❧☙⁂※§+✦✧★☆♦▪■□-]*"
)
_RULED = re.compile(r"[\s_=–—―⸺⸻-]{3,}")
_LETTERS = re.compile(
    r"(?=.*(?:\w\W*\w\W*\w|\W\w\W))(?:[-~=*.\s|/\\]*(?:[oO0]{1,3}|[xX]{1,3}))+[-~=*.\s|/\\]*"
)
_WORDS = re.compile(
    r"[\[(<~*=\s-]*(?:scene|line|page|section|time)\s?(?:break|skip)[\])>~*=\s-]*|\[hr\]", re.IGNORECASE
)

Look = tuple[Hashable, ...]
"""The format of a paragraph, as far as it may tell headings from text."""

MAX_HEADING = 90
"""In characters. A longer line that looks like a heading is a paragraph in bold type."""

OWN_STYLE = "style"
"""The first part of the format of a paragraph that only the name of its style, or its number, tells from others."""

CAPITALS = "capitals"
"""The first part of the format of a paragraph that only its capitals tell from others."""

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


def _without_misused(blocks: list[Block]) -> list[Block]:
    """The blocks; headings of a level are paragraphs if many of them are as long as these: some writers take the style of a
    heading for all of their text."""
    lengths: dict[int, list[int]] = {}
    for block in blocks:
        if block.kind == "heading":
            lengths.setdefault(block.level, []).append(len(block.text))
    misused = {
        level
        for level, found in lengths.items()
        if len(found) > 2 and sum(length > 2 * MAX_HEADING for length in found) >= 0.2 * len(found)
    }
    return [
        replace(block, kind="paragraph", level=0)
        if block.kind == "heading" and block.level in misused
        else block
        for block in blocks
    ]


def _with_all_chapters(blocks: list[Block]) -> list[Block]:
    """The blocks; if most headings with one word and a number ("Chapter 3") have one level, all lines of this form have it:
    writers forget the style, or take another one."""
    forms: dict[int, str] = {}
    for at, block in enumerate(blocks):
        if block.kind != "divider" and len(block.text) <= MAX_HEADING and "\n" not in block.text:
            heading = find_heading(block.text.strip(), True)
            if (
                heading
                and heading.level == CHAPTER
                and (word := re.match(r"[^\W\d_]+(?=\W+\w)", heading.text))
            ):
                forms[at] = word[0].casefold()
    levels = Counter((forms[at], blocks[at].level) for at in forms if blocks[at].kind == "heading")
    (word, level), times = levels.most_common(1)[0] if levels else (("", 0), 0)
    places = [at for at in forms if forms[at] == word]
    texts = [" ".join(blocks[at].text.split()) for at in places]
    if 2 * times <= len(places) or len(set(texts)) < len(texts):
        return list(blocks)
    return [
        replace(block, kind="heading", level=level) if at in places else block
        for at, block in enumerate(blocks)
    ]


def _is_in_capitals(text: str) -> bool:
    """Whether a short paragraph may be a title because it is written in capitals."""
    return text.isupper() and len(text) <= MAX_HEADING and find_heading(text, True) is not None


class Collector:
    """Collects the parts of a document in order and makes its blocks.

    Paragraphs without text are empty lines. If a document has few of them, or several together, they are scene breaks.

    Attributes:
        line: the line of what is added next, in a document that has lines; in others 0, and blocks are counted.
    """

    def __init__(self) -> None:
        self.line = 0
        self._blocks: list[Block] = []
        self._left_out: list[LeftOut] = []
        self._looks: dict[int, Look] = {}
        self._gaps: dict[int, int] = {}
        self._empty = 0

    def heading(self, text: str, level: int) -> None:
        if text := text.strip():
            self._add("heading", text, level)

    def paragraph(self, text: str, look: Look | None = None) -> None:
        """Add a paragraph; `look` is its format if it looks like a heading, else None."""
        text = text.strip()
        if not text:
            self._empty += 1
        elif is_divider(text):
            self.divider()
        else:
            self._add("paragraph", text)
            if (look is None or look[:1] == (OWN_STYLE,)) and _is_in_capitals(text):
                look = (CAPITALS,)
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
            self._blocks.append(Block(kind, text, level, self.line or len(self._blocks) + 1))

    def _with_plain_headings(self) -> list[Block]:
        """The blocks; if there are no headings, or only one, those that look like one become headings."""
        self._blocks = _without_misused(self._blocks)
        marked = [block.level for block in self._blocks if block.kind == "heading"]
        if len(marked) > 1:
            return _with_all_chapters(self._blocks)
        level = max(marked, default=0) + 1
        if chapters := self._named_chapters():
            return [
                replace(block, kind="heading", level=level) if at in chapters else block
                for at, block in enumerate(self._blocks)
            ]
        found: dict[Look, list[int]] = {}
        for at, look in self._looks.items():
            text = self._blocks[at].text
            if len(text) <= MAX_HEADING and "\n" not in text and not _NO_HEADING.match(text):
                found.setdefault(look, []).append(at)
        blocks = list(self._blocks)
        times = Counter(self._looks.values())
        for look, places in found.items():
            texts = {blocks[at].text for at in places}
            runs = sum(b - a == 1 for a, b in itertools.pairwise(places))
            if look[0] == OWN_STYLE and len(places) < times[look]:
                continue  # also longer paragraphs have this style
            if look[0] == CAPITALS and (places[0] > 3 or len(places) < 3):
                continue  # what is shouted, or stands on a sign
            if 2 <= len(places) <= len(blocks) / 3 and len(texts) == len(places) and runs <= len(places) / 2:
                for at in places:
                    blocks[at] = replace(blocks[at], kind="heading", level=level)
        num_found = sum(block.kind == "heading" for block in blocks)
        lone = [
            places[0]
            for look, places in found.items()
            if len(places) == 1 and look[0] not in (OWN_STYLE, CAPITALS)
        ]
        for at in lone if num_found > 2 else ():  # a title in a size of its own
            after = blocks[at + 1].kind if at + 1 < len(blocks) else ""
            if after == "paragraph":
                blocks[at] = replace(blocks[at], kind="heading", level=level)
        if not num_found:
            for at in self._titles():
                blocks[at] = replace(blocks[at], kind="heading", level=level)
        return blocks

    def _titles(self) -> list[int]:
        """Paragraphs that are titles by their words alone, as in plain text, if one begins the document, and no two are
        together: with empty lines around them that others do not have, or else at least four."""
        found = [
            at
            for at, block in enumerate(self._blocks)
            if block.kind == "paragraph" and len(block.text) <= MAX_HEADING and "\n" not in block.text
            if (heading := find_heading(block.text, True)) and heading.level == TITLE
        ]
        inner = [
            self._gaps.get(at, 0) for at in range(1, len(self._blocks)) if {at, at - 1}.isdisjoint(found)
        ]
        usual = Counter(inner).most_common(1)[0][0] if inner else 0
        apart = [at for at in found if (not at or self._gaps.get(at, 0) > usual) and self._gaps.get(at + 1)]
        for places, least in ((apart, 3), (found, 4)):
            texts = {self._blocks[at].text for at in places}
            runs = any(after - here < 3 for here, after in itertools.pairwise(places))
            few = 3 * len(places) <= len(self._blocks) and len(texts) == len(places)
            if len(places) >= least and places[0] <= 1 and few and not runs:
                return places
        return []

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
