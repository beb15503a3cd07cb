"""Turns plain text into blocks: headings and dividers by their form, paragraphs joined from broken lines."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fabula.corpus.blocks import Block
from fabula.corpus.documents import is_divider
from fabula.corpus.splitting.cut import DIVIDER
from fabula.corpus.splitting.headings import DECORATED, NUMERAL, TITLE, Heading, find_heading, numeral_value
from fabula.corpus.splitting.pages import Removed, without_gutenberg, without_pages
from fabula.corpus.splitting.wrapping import joined, wrap_width


@dataclass(frozen=True, slots=True)
class TextBlocks:
    """A text as blocks.

    Attributes:
        blocks: in order; `level` of a heading as in `headings`.
        removed: page numbers, running heads and licences.
        width: the width at which its lines were broken (and are joined), or 0.
    """

    blocks: list[Block]
    removed: list[Removed]
    width: int


def text_blocks(text: str, pattern: re.Pattern[str] | None = None) -> TextBlocks:
    """The blocks of a text with "\\n" at the ends of its lines. Lines that match `pattern` are headings."""
    raw = text.split("\n")
    lines, removed = without_pages(raw)
    removed += without_gutenberg(lines)
    width = wrap_width([line for line in lines if line is not None])
    blocks = _checked(_all_blocks(lines, width, pattern, {}))
    if (items := _items(lines)) and not any(block.kind == "heading" for block in blocks):
        blocks = _all_blocks(lines, width, pattern, items)
    return TextBlocks(blocks, sorted(removed), width)


def _all_blocks(
    lines: Sequence[str | None], width: int, pattern: re.Pattern[str] | None, items: Mapping[int, str]
) -> list[Block]:
    """The blocks of lines, of which None are left out; `items` are numbers before text, which become headings."""
    blocks: list[Block] = []
    group: list[tuple[int, str]] = []
    for number, line in enumerate([*lines, ""], 1):
        if line is None:
            continue
        if group and (number in items or not line.strip()):
            blocks += _group_blocks(group, width, pattern)
            group = []
        if number in items:
            name = items[number].strip(" .):—–-")
            blocks.append(
                Block("heading", f"#{name}", NUMERAL, number)
                if name.isdigit()
                else Block("heading", name, DECORATED, number)
            )
            line = line[len(items[number]) :]
        if line.strip():
            group.append((number, line.rstrip()))
    return blocks


def _items(lines: Sequence[str | None]) -> dict[int, str]:
    """The numbers of a list whose items are stories ("1. ", "2) "), or titles in capitals before text ("THE LAMP. "), by
    the number of their line; empty if there are fewer than three, if the numbers do not count up, or if titles recur as
    the names in a play do."""
    titled = {
        number: match[0] for number, line in enumerate(lines, 1) if line and (match := _CAPITALS.match(line))
    }
    if len(titled) >= 3 and len(set(titled.values())) == len(titled):
        return titled
    found = [(number, match) for number, line in enumerate(lines, 1) if line and (match := _ITEM.match(line))]
    run: dict[int, str] = {}
    for number, match in found:
        if int(match[1]) == len(run) + 1:
            run[number] = match[0]
    return run if len(run) >= 3 and len(run) >= 0.8 * len(found) else {}


_SALUTATION = re.compile(r"(?:my |to my )?(?:dear(?:est)?|beloved)\b[^.!?]{0,60}[,:;—-]\s*$", re.IGNORECASE)
_CAPITALS = re.compile(r"(?=[^a-z]{4})[A-Z][A-Z'’ -]{1,50}[A-Z][.:](?:[—–-]+\s*|\s+)(?=\S.{30})")
_ITEM = re.compile(r" {0,3}(\d{1,5})[.)]\s+(?=\S)")


def _group_blocks(
    group: Sequence[tuple[int, str]], width: int, pattern: re.Pattern[str] | None
) -> list[Block]:
    """The blocks of lines without a blank one between them."""
    blocks: list[Block] = []
    start = 0
    alone = len(group) == 1
    if len(group) == 2 and re.fullmatch(r"\s*[=~*_-]{3,}\s*", group[1][1]):  # an underlined title
        heading = find_heading(group[0][1].strip(), True)
        if heading:
            return [Block("heading", heading.text, min(heading.level, 3), group[0][0])]
    for at, (number, line) in enumerate(group):
        stripped = line.strip()
        heading = find_heading(stripped, alone)
        if pattern and pattern.fullmatch(stripped):
            heading = Heading(1, stripped)
        if heading is None and not is_divider(stripped):
            continue
        blocks += _paragraphs(group[start:at], width)
        start = at + 1
        if heading:
            blocks.append(Block("heading", heading.text, heading.level, number))
        else:
            blocks.append(Block("divider", "", 0, number))
    return blocks + _paragraphs(group[start:], width)


def _paragraphs(group: Sequence[tuple[int, str]], width: int) -> list[Block]:
    if not group:
        return []
    number = group[0][0]
    lines = [line for _, line in group]
    if width:
        return [Block("paragraph", text, 0, number) for text in joined(lines, width)]
    if sum(line[0].isspace() for line in lines) > 0.5 * len(lines):
        lines = [line.strip() for line in lines]
    return [Block("paragraph", "\n".join(lines), 0, number)]


def _checked(blocks: list[Block]) -> list[Block]:
    """The blocks; headings that are only short lines become paragraphs if too many of them are together, if one recurs
    often, if they are the head of a letter, or if numbers do not count up."""
    weak = [at for at, block in enumerate(blocks) if block.kind == "heading" and block.level == TITLE]
    times = Counter(blocks[at].text.casefold() for at in weak)
    paragraphs = sum(block.kind == "paragraph" for block in blocks)
    crowded = len(weak) > paragraphs
    made = list(blocks)
    for at in weak:
        follows = blocks[at + 1].text if at + 1 < len(blocks) else ""
        if crowded or times[blocks[at].text.casefold()] > 2 or _SALUTATION.match(follows):
            made[at] = replace(blocks[at], kind="paragraph", level=0)
    numbered = [at for at, block in enumerate(blocks) if block.kind == "heading" and block.level == NUMERAL]
    values = [numeral_value(blocks[at].text) for at in numbered]
    counted = sum(after - here in (0, 1) or after == 1 for here, after in itertools.pairwise(values))
    if numbered and (values[0] != 1 or counted < 0.8 * (len(values) - 1) or len(values) < 2):
        for at in numbered:
            made[at] = replace(blocks[at], kind="paragraph", level=0)
    return made


def whole_text(text: str, is_wrapped: bool) -> tuple[str, list[Removed]]:
    """A text that is not cut, without page numbers and licences, with broken lines joined."""
    lines, removed = without_pages(text.split("\n"))
    removed += without_gutenberg(lines)
    if is_wrapped:
        blocks = text_blocks(text).blocks
        return "\n\n".join(DIVIDER if block.kind == "divider" else block.text for block in blocks), removed
    return "\n".join(line for line in lines if line is not None), removed
