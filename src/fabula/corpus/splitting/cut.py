"""Cuts blocks into stories."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fabula.corpus.blocks import Block
from fabula.corpus.documents import is_divider
from fabula.corpus.splitting.headings import CHAPTER, NUMERAL, PART, find_heading
from fabula.corpus.splitting.pages import Removed
from fabula.corpus.splitting.split import Split
from fabula.story import count_words

DIVIDER = "***"
"""How every divider within a story is written."""

FRONT_WORDS = 150
"""Text with fewer words before the first heading is front matter, unless its sentences look like a story's."""


@dataclass(frozen=True, slots=True)
class Part:
    """A story from blocks: its title ("" for none), its text, and the line or block where it begins."""

    title: str
    text: str
    line: int


def cut_blocks(blocks: Sequence[Block], split: Split) -> tuple[list[Part], list[Removed]]:
    """The stories in the blocks of a document.

    Headings at which it is cut become titles; lower ones stay lines of the text. Empty chapters (a list of contents)
    and front matter are removed.

    Returns:
        The stories, and what was left out.
    """
    parts: list[Part] = []
    removed: list[Removed] = []
    titles: list[Block] = []
    body: list[Block] = []
    pattern = split.pattern
    is_open = not split.end  # with a pattern for the end of a story, text is a story only between the two

    def close() -> None:
        text = _text(body)
        title = _title([block.text for block in titles])
        line = (titles or body or [Block("divider", "")])[0].line
        has_title = bool(titles) and titles[0].level >= split.level  # but it is not the title of the book
        if not re.search(r"\w", text):
            if title:
                removed.append((line, "empty-chapter", title))
        elif not is_open:
            removed.append((line, "outside-marks", text))
        elif not parts and split.kind == "headings" and _is_front_matter(body, text, has_title):
            removed.append((line, "front-matter", f"{title}\n{text}".strip()))
        else:
            parts.append(Part(title, text, line))

    if split.kind == "headings":
        blocks, removed = _without_back_matter(blocks, split)
    for block in blocks:
        cuts = _cuts(block, split, pattern)
        if cuts and titles and not body and block.kind == "heading" and not _goes_on(titles[-1], block):
            reason = "heading" if block.level > titles[-1].level else "empty-chapter"
            removed += [(each.line, reason, each.text) for each in titles]
            titles = []
        if cuts and (body or block.kind != "heading" or not titles):
            close()
            titles, body = [], []
        if cuts and split.end:
            is_open = bool(re.fullmatch(split.start, block.text.strip()))
        if cuts and _names(block, split):
            titles.append(block)
        elif not cuts:
            is_title = bool(titles) or (split.kind == "file" and not parts)
            if block.kind == "heading" and is_title and not body and len(titles) < 3:
                titles.append(block)  # it is a chapter's title below its number
            elif (
                split.kind == "headings" and _END_OF.fullmatch(block.text.strip())
            ) or block.text == END_FILE:
                removed.append((block.line, "end-of-chapter", block.text))
            elif body or block.kind != "divider":
                body.append(block)
    close()
    if split.kind == "headings":
        removed += _take_matter(parts)
    return parts, removed


def _without_back_matter(blocks: Sequence[Block], split: Split) -> tuple[Sequence[Block], list[Removed]]:
    """The blocks without what follows the last chapter below a heading of a lower level, such as "About the Author"."""
    last = max((at for at, block in enumerate(blocks) if _cuts(block, split, None)), default=len(blocks))
    for at, block in enumerate(blocks[last + 1 :], last + 1):
        if block.kind == "heading" and _BACK.fullmatch(block.text):
            text = "\n".join(each.text for each in blocks[at:])
            return blocks[:at], [(block.line, "back-matter", text)]
    return blocks, []


_BACK = re.compile(
    r"(?i)(?:about the (?:author|publisher)|(?:also|other books|books) by\b.*|acknowledge?ments?|copyright|licen[cs]e)\W*"
)


def _take_matter(parts: list[Part]) -> list[Removed]:
    """Take what is not story from the beginning and the end of a book's `parts`, and return it."""
    removed: list[Removed] = []
    for end in (0, -1):
        while len(parts) > 1 and _MATTER.fullmatch(parts[end].title):
            part = parts.pop(end)
            removed.append(
                (part.line, "front-matter" if end == 0 else "back-matter", f"{part.title}\n{part.text}")
            )
    return sorted(removed)


def _goes_on(heading: Block, after: Block) -> bool:
    """Whether a heading directly after another one is the title for its number, and not a separate chapter."""
    if after.level > heading.level:  # the title of a book, or of its part, stands before the first chapter
        return False
    forms = [find_heading(block.text.strip(), True) for block in (heading, after)]
    is_chapter = [form is not None and form.level in (PART, CHAPTER, NUMERAL) for form in forms]
    return is_chapter == [True, False]


def _cuts(block: Block, split: Split, pattern: re.Pattern[str] | None) -> bool:
    if pattern is not None:
        return bool(pattern.fullmatch(block.text.strip()))
    if split.kind == "scenes" and block.kind == "divider":
        return True
    return split.kind in ("headings", "scenes") and block.kind == "heading" and block.level <= split.level


def _names(block: Block, split: Split) -> bool:
    """Whether the block at a cut is a title, not just a mark."""
    is_end = re.search(r"(?i)\bend\b", block.text) is not None
    if split.kind == "pattern" and (split.end or is_end or block.text.strip() == split.start.strip()):
        return False
    return block.kind != "divider" and bool(re.search(r"\w", block.text))


def _title(texts: Sequence[str]) -> str:
    """ "Chapter 1" and "The Lamp" as "Chapter 1: The Lamp"."""
    texts = [" ".join(text.split()) for text in texts]
    return ": ".join(
        text.rstrip(" .:") if number + 1 < len(texts) else text for number, text in enumerate(texts)
    )


def _text(body: Sequence[Block]) -> str:
    while body and body[-1].kind == "divider":
        body = body[:-1]
    return "\n\n".join(DIVIDER if block.kind == "divider" else block.text for block in body).strip()


def without_last_divider(text: str) -> str:
    """A text without a divider ("# # #", "* * *") below its last paragraph."""
    before, _, last = text.rstrip().rpartition("\n")
    is_symbols = not any(map(str.isalnum, last[:100]))  # "xxx" may be the kisses of a letter
    return before.rstrip() if before and is_symbols and is_divider(last.strip()) else text


def _is_front_matter(body: Sequence[Block], text: str, has_title: bool) -> bool:
    """Whether the text before the first heading, or between the first and the second, is a title page, a list of
    contents or a dedication."""
    if count_words(text) < 12:
        return not has_title or not re.search(r"[.!?。！？]\W*$", text)
    lines = [line for line in text.split("\n") if line.strip()]
    if has_title:  # a list of contents has page numbers
        numbered = sum(
            bool(re.search(r"[\s.]\d{1,4}\s*$|^\s*\d{1,3}[.)]?\s.{0,60}$", line)) for line in lines
        )
        is_legal = count_words(text) < 40 and re.search(
            r"(?i)\bcopyright\b|©|\bisbn\b|all rights reserved", text
        )
        return bool(is_legal) or numbered >= max(3, 0.5 * len(lines))
    sentences = [
        line
        for line in lines
        if count_words(line) > 3 and re.search(r"[.!?…。！？][\"”’'」)]*$", line.strip())
    ]
    words = sum(count_words(line) for line in sentences)
    return words < 0.5 * count_words(text) or (count_words(text) < FRONT_WORDS and bool(_FRONT.search(text)))


_END_OF = re.compile(
    r"\W*end of (?:the )?(?:chapter|part|book|episode|section)\b[^.!?\n]{0,60}\W*|[（(]本章完[）)]",
    re.IGNORECASE,
)
"""A line that ends a chapter."""

END_FILE = "End file."
"""The last line of the texts that FanFicFare writes."""

_MATTER = re.compile(
    r"(?i)(?:acknowledge?ments?|about the (?:author|publisher)s?|also (?:by|from|available)\b.*|by the same author|copyright(?: page| notice)?"
    r"|(?:table of )?contents|dedication|praise for\b.*|other (?:books|titles|works) by\b.*|(?:books|novels|works) by\b.*|colophon|index(?: of \w+)?"
    r"|(?:smashwords edition\b.{0,9})?licen[cs]e(?: notes| statement)?|contribut(?:ing|ors)|bibliography|(?:foot|end)?notes|glossary|list of illustrations|transcriber[’']?s? notes?|newsletter|(?:join|sign up)\b.*)\W*"
)
"""Titles of the parts of a book that are not story."""

_FRONT = re.compile(
    r"(?im)^\W*(?:(?:table of )?contents|copyright|©|all rights reserved|isbn|dedicat|for my\b|by [A-Z]|summary|notes?|rating|tags?|fandom"
    r"|published|disclaimer|words:|author)\b|^\W*for (?:those|everyone|all|the)\b[^.!?\n]{0,40}$|\b(?:first|second|third|new|revised) edition\b"
)
