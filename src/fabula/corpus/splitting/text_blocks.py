"""Turns plain text into blocks: headings and dividers by their form, paragraphs joined from broken lines."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fabula.corpus.blocks import Block
from fabula.corpus.documents import is_divider
from fabula.corpus.splitting.cut import DIVIDER, END_FILE, FRONT_WORDS
from fabula.corpus.splitting.headings import (
    DECORATED,
    NUMBER_LINE,
    NUMERAL,
    PART,
    POST,
    RUN_IN,
    TITLE,
    Heading,
    find_heading,
    numeral_value,
)
from fabula.corpus.splitting.pages import Removed, without_gutenberg, without_pages
from fabula.corpus.splitting.wrapping import joined, wrap_width
from fabula.story import count_words


@dataclass(frozen=True, slots=True)
class TextBlocks:
    """A text as blocks.

    Attributes:
        blocks: in order; `level` of a heading as in `headings`.
        removed: page numbers, running heads and licences.
        num_joined: number of line ends that were taken out because its lines were broken at one width.
    """

    blocks: list[Block]
    removed: list[Removed]
    num_joined: int


def text_blocks(text: str, pattern: re.Pattern[str] | None = None) -> TextBlocks:
    """The blocks of a text with "\\n" at the ends of its lines. Lines that match `pattern` are headings."""
    raw = text.replace("\ufeff", "").split("\n")
    lines, removed = without_pages(raw)
    removed += without_gutenberg(lines)
    removed += _without_fields(lines)
    removed += _without_footnotes(lines)
    _close_double_spacing(lines)
    width = wrap_width([before for before, line in zip(raw, lines, strict=True) if line is not None])
    blocks, num_joined = _unwrapped(_all_blocks(lines, pattern, {}), width)
    blocks = with_prompts(_checked(_with_bylines(blocks)))
    num_headings = sum(block.kind == "heading" for block in blocks)
    items = {} if num_headings else _items(lines)
    items = items or _titled(lines, RUN_IN)
    if len(items) > 2 * num_headings:
        blocks, num_joined = _unwrapped(_all_blocks(lines, pattern, items), width)
    return TextBlocks(blocks, sorted(removed), num_joined)


def _unwrapped(blocks: Sequence[Block], width: int) -> tuple[list[Block], int]:
    """The blocks, with paragraphs that are broken at a width (not 0) joined, and the number of line ends taken out."""
    found: list[Block] = []
    num_joined = 0
    for block in blocks:
        lines = block.text.split("\n")
        if block.kind != "paragraph":
            found.append(block)
        elif width:
            texts = joined(lines, width)
            num_joined += len(lines) - sum(text.count("\n") + 1 for text in texts)
            found += [replace(block, text=text) for text in texts]
        elif sum(line[0].isspace() for line in lines) > 0.5 * len(lines):
            found.append(replace(block, text="\n".join(line.strip() for line in lines)))
        else:
            found.append(block)
    return found, num_joined


def _without_fields(lines: list[str | None]) -> list[Removed]:
    """Take out the fields of records below their titles ("Title: The Lamp", "Date: 2021"), and placeholders of Scrivener."""
    removed = []
    titles = [number for number, line in enumerate(lines) if line and _TITLE_FIELD.match(line)]
    if len(titles) < 3:
        titles = [at for at in range(len(lines) - 1) if _is_titled(lines, at)]
    for title in titles if len(titles) > 2 else ():
        number = title + 1
        while number < len(lines) and FIELD.fullmatch((lines[number] or "").strip()):
            removed.append((number + 1, "field", (lines[number] or "").strip()))
            lines[number] = None
            number += 1
    for number, line in enumerate(lines):
        if line and "<$" in line and _PLACEHOLDER.fullmatch(line.strip()):
            removed.append((number + 1, "placeholder", line.strip()))
            lines[number] = None
    return removed


def _without_footnotes(lines: list[str | None]) -> list[Removed]:
    """Take out the footnotes at the end of a text: a line that says so, and numbered paragraphs below it."""
    at = next((at for at, line in enumerate(lines) if line and _FOOTNOTES.fullmatch(line.strip())), None)
    if at is None:
        return []
    paragraphs = "\n".join(line or "" for line in lines[at + 1 :]).split("\n\n")
    notes = [paragraph for paragraph in paragraphs if paragraph.strip()]
    if len(notes) < 2 or not all(_FOOTNOTE.match(note) for note in notes):
        return []
    text = "\n".join(line for line in lines[at:] if line)
    lines[at:] = [None] * (len(lines) - at)
    return [(at + 1, "footnote", text)]


_FOOTNOTES = re.compile(r"(?:foot|end)notes\W*", re.IGNORECASE)
_FOOTNOTE = re.compile(r"\s*[\[(]?\d{1,3}[\]).:]{1,2}\s+\S")


def _is_titled(lines: Sequence[str | None], at: int) -> bool:
    """Whether a line is a title with a field directly below it."""
    line = (lines[at] or "").strip()
    is_first = not at or not (lines[at - 1] or "").strip()
    return (
        is_first
        and bool(line)
        and bool(FIELD.fullmatch((lines[at + 1] or "").strip()))
        and bool(find_heading(line, True))
    )


_TITLE_FIELD = re.compile(r"\s*(?:title|titel|titre)\s*:\s*\S", re.IGNORECASE)
FIELD = re.compile(
    r"(?:author|artist|album|by|date|year|published|posted|created(?: time| by)?|last edited(?: time| by)?|updated|genres?|tags?|rating|words?|word ?count|url|link|source|category|fandom|id|language"
    r"|score|upvotes?|points|likes|votes|views|reads|comments|subreddit|status)"
    r"\s*:\s*\S.{0,200}",
    re.IGNORECASE,
)
"""A field of the record of a story."""

_PLACEHOLDER = re.compile(r"<\$\w+(?::[^<>]*)?>")


def _close_double_spacing(lines: list[str | None]) -> None:
    """Take the blank lines out of wrapped text that has one after each line, as copies of manuscripts have."""
    kept = [number for number, line in enumerate(lines) if line is not None]
    filled = [number for number in kept if (lines[number] or "").strip()]
    blank = [number for number in kept if not (lines[number] or "").strip()]
    if len(filled) < _MIN_DOUBLE or len(blank) < 0.9 * (len(filled) - 1):
        return
    is_alone = [not (lines[at + 1] or "").strip() for at in filled[:-1]]
    if sum(is_alone) >= 0.95 * len(is_alone) and wrap_width([lines[number] or "" for number in filled]):
        for before, number in zip([-2, *blank], blank, strict=False):
            if number - 1 != before:  # of several blank lines, the others stay
                lines[number] = None


_MIN_DOUBLE = 40
"""Fewer lines with a blank one after each may be verse, or paragraphs of a line."""


def _all_blocks(
    lines: Sequence[str | None], pattern: re.Pattern[str] | None, items: Mapping[int, str]
) -> list[Block]:
    """The blocks of lines, of which None are left out; `items` are numbers before text, which become headings."""
    blocks: list[Block] = []
    group: list[tuple[int, str]] = []
    for number, line in enumerate([*lines, ""], 1):
        if line is None:
            continue
        if group and (number in items or not line.strip()):
            blocks += _group_blocks(group, pattern)
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
    if titled := _titled(lines, _CAPITALS):
        return titled
    found = [(number, match) for number, line in enumerate(lines, 1) if line and (match := _ITEM.match(line))]
    run: dict[int, str] = {}
    for number, match in found:
        if int(match[1]) == len(run) + 1:
            run[number] = match[0]
    return run if len(run) >= 3 and len(run) >= 0.8 * len(found) else {}


def _titled(lines: Sequence[str | None], form: re.Pattern[str]) -> dict[int, str]:
    """The beginnings of lines that match `form`, by number; empty if there are fewer than three, or two are the same."""
    found = {number: match[0] for number, line in enumerate(lines, 1) if line and (match := form.match(line))}
    return found if len(found) >= 3 and len(set(found.values())) == len(found) else {}


_UNDERLINE = re.compile(r"\s*[=~*_#+/-]{3,}\s*")
SALUTATION = re.compile(r"(?:my |to my )?(?:dear(?:est)?|beloved)\b[^.!?]{0,60}[,:;—-]\s*$", re.IGNORECASE)
_CAPITALS = re.compile(r"(?=[^a-z]{4})[A-Z][A-Z'’ -]{1,50}[A-Z][.:](?:[—–-]+\s*|\s+)(?=\S.{30})")
_ITEM = re.compile(r" {0,3}(\d{1,5})[.)]\s+(?=\S)")


def _group_blocks(group: Sequence[tuple[int, str]], pattern: re.Pattern[str] | None) -> list[Block]:
    """The blocks of lines without a blank one between them."""
    blocks: list[Block] = []
    start = 0
    alone = len(group) == 1
    below = next((at for at in (2, 3, 4) if at < len(group) and _UNDERLINE.fullmatch(group[at][1])), 0)
    if below and _UNDERLINE.fullmatch(
        group[0][1]
    ):  # a title in a box, perhaps with a line or two about the story
        texts = [line.strip("/#*| \t") for _, line in group[1:below]]
        heading = find_heading(texts[0], True)
        if heading:
            title = Block(
                "heading", ": ".join([heading.text, *texts[1:]]), min(heading.level, DECORATED), group[1][0]
            )
            return [title, *_group_blocks(group[below + 1 :], pattern)]
    if len(group) == 2 and _UNDERLINE.fullmatch(group[1][1]):
        heading = find_heading(group[0][1].strip(), True)
        if heading:
            return [Block("heading", heading.text, min(heading.level, DECORATED), group[0][0])]
    if len(group) == 2 and (title := _with_byline(*(line.strip() for _, line in group))):
        return [Block("heading", title, TITLE, group[0][0])]
    if len(group) == 2 and NUMBER_LINE.fullmatch(group[0][1].strip()):
        heading = find_heading(group[1][1].strip(), True)
        if heading and heading.level == TITLE:  # the title is directly below the number
            return [Block("heading", f"{group[0][1].strip()} {heading.text}", NUMERAL, group[0][0])]
    for at, (number, line) in enumerate(group):
        stripped = line.strip()
        heading = find_heading(
            stripped, alone or (len(group) > _MANY_LINES and stripped.rstrip(".").isdecimal())
        )
        if pattern and pattern.fullmatch(stripped):
            heading = Heading(1, stripped)
        if heading is None and not is_divider(stripped):
            continue
        blocks += _paragraph(group[start:at])
        start = at + 1
        if heading:
            blocks.append(Block("heading", heading.text, heading.level, number))
        else:
            blocks.append(Block("divider", "", 0, number))
    return blocks + _paragraph(group[start:])


def _with_byline(title: str, name: str) -> str:
    """Both lines, if the second is the author's name directly below a title; else "". Without "by" the title is in
    capitals."""
    found = _BYLINE.fullmatch(name)
    heading = find_heading(title, True) if found and (found["by"] or title.isupper()) else None
    return f"{heading.text}\n{name}" if heading and heading.level == TITLE else ""


def _with_bylines(blocks: list[Block]) -> list[Block]:
    """The blocks; titles with bylines are surer than other short lines if there are several, nearly all have one, and the first is at
    the head of the text: a few may be signs and songs in one story."""
    titles = [at for at, block in enumerate(blocks) if block.kind == "heading" and block.level == TITLE]
    with_byline = [at for at in titles if "\n" in blocks[at].text]
    if len(with_byline) < max(_MIN_BYLINES, 0.75 * len(titles)):
        return blocks
    if sum(count_words(block.text) for block in blocks[: with_byline[0]]) > FRONT_WORDS:
        return blocks
    made = list(blocks)
    for at in with_byline:
        made[at] = replace(made[at], level=DECORATED, text=made[at].text.replace("\n", ", "))
    return made


_MIN_BYLINES = 4


_BYLINE = re.compile(r"(?P<by>(?:[Bb]y|BY|von|par) )?[A-Z][\w.'’-]*(?: (?:[a-z]{2,3} )?[A-Z][\w.'’-]*){1,3}")
_MANY_LINES = 20
"""In a text with so many lines and no blank one between them, a number has no lines of its own."""


def _paragraph(group: Sequence[tuple[int, str]]) -> list[Block]:
    """The lines as one block, if there are any."""
    return [Block("paragraph", "\n".join(line for _, line in group), 0, group[0][0])] if group else []


def with_prompts(blocks: list[Block]) -> list[Block]:
    """The blocks; short quotations (with ">" before each line), if there are several, the first at the head of the text, and
    never two together, are the prompts of stories: headings."""
    quoted = [at for at, block in enumerate(blocks) if block.text.startswith(">")]
    if len(quoted) < 3 or quoted[0] or any(after - here == 1 for here, after in itertools.pairwise(quoted)):
        return blocks
    texts = [" ".join(line.lstrip("> \t") for line in blocks[at].text.split("\n")) for at in quoted]
    whole = all(line.startswith(">") for at in quoted for line in blocks[at].text.split("\n"))
    if not whole or max(map(len, texts)) > _MAX_PROMPT or len(set(texts)) < len(texts):
        return blocks
    made = list(blocks)
    for at, text in zip(quoted, texts, strict=True):
        made[at] = replace(made[at], kind="heading", level=DECORATED, text=text)
    return made


_MAX_PROMPT = 600


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
        is_byline = at > 0 and blocks[at - 1].kind == "heading" and POST.fullmatch(blocks[at].text)
        if crowded or times[blocks[at].text.casefold()] > 1 or SALUTATION.match(follows) or is_byline:
            made[at] = replace(blocks[at], kind="paragraph", level=0)
    numbered = [at for at, block in enumerate(blocks) if block.kind == "heading" and block.level == NUMERAL]
    values = [numeral_value(blocks[at].text) for at in numbered]
    counted = sum(after - here in (0, 1) or after == 1 for here, after in itertools.pairwise(values))
    if numbered and (values[0] != 1 or counted < 0.8 * (len(values) - 1) or len(values) < 2):
        for at in numbered:
            is_mark = is_divider(blocks[at].text)  # "xXx" looks like a Roman number
            made[at] = (
                Block("divider", "", 0, blocks[at].line)
                if is_mark
                else replace(blocks[at], kind="paragraph", level=0)
            )
    firsts = [at for at, value in zip(numbered, values, strict=True) if value == 1]
    parts = [at for at, block in enumerate(blocks) if block.kind == "heading" and block.level == PART]
    firsts += [at for at in parts if _FIRST_PART.fullmatch(blocks[at].text)]
    above = [at - 1 for at in firsts if at]
    if len(above) > 1 and all(made[at].kind == "heading" and made[at].level == TITLE for at in above):
        for at in above:  # each story has parts, numbered from 1
            made[at] = replace(made[at], level=DECORATED)
        for at in parts:
            made[at] = replace(made[at], level=NUMERAL)
    return made


_FIRST_PART = re.compile(r"\w+ (?:the )?(?:1|I|one|first)\W*", re.IGNORECASE)


def whole_text(text: str, is_wrapped: bool) -> tuple[str, list[Removed], int]:
    """A text that is not cut, without page numbers and licences, with broken lines joined; what was removed from it; and
    the number of line ends taken out."""
    if is_wrapped:
        found = text_blocks(text)
        blocks = (DIVIDER if block.kind == "divider" else block.text for block in found.blocks)
        return "\n\n".join(blocks), found.removed, found.num_joined
    lines, removed = without_pages(text.split("\n"))
    removed += without_gutenberg(lines)
    if END_FILE in lines[-3:]:
        at = len(lines) - 1 - lines[::-1].index(END_FILE)
        lines[at] = None
        removed.append((at + 1, "end-of-file", END_FILE))
    return "\n".join(line for line in lines if line is not None), removed, 0
