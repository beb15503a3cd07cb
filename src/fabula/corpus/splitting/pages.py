"""Removes what printed pages and libraries put around a text: page numbers, running heads, Project Gutenberg's
licence."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

from fabula.corpus.gutenberg import GUTENBERG_END, GUTENBERG_START
from fabula.corpus.splitting.headings import CHAPTER, PART, find_heading
from fabula.corpus.splitting.wrapping import MIN_WIDTH, joined, may_be_wrapped, wrap_width

Removed = tuple[int, str, str]
"""Line number from 1, reason, text."""

_PAGE_NUMBER = re.compile(
    r"\s*[-–—|\[(~]*\s*(?:page|pg\.?|p\.|seite|стр\.)?\s*(?P<number>\d{1,4})\s*(?:(?:of|/|von)\s*\d{1,4})?\s*[-–—|\])~]*\s*",
    re.IGNORECASE,
)
"""A line with only a number, which may be that of a page."""

_PAGE_HEAD = re.compile(
    r"\s*(?:(?P<left>\d{1,4})(?:\s{2,}|\t|\s+[|•·/]\s+)\S.{1,60}|\S.{1,60}?(?:\s{2,}|\t|\s+[|•·/]\s+)(?P<right>\d{1,4}))\s*"
)
"""A page number next to a running head."""

_ITALICS = re.compile(r"(?<![^\W_])_(?=\S)|(?<=\S)_(?![^\W_])")
"""The marks of italics in books of Project Gutenberg, which may be in different lines."""

_MIN_PAGES = 4


def without_pages(lines: Sequence[str]) -> tuple[list[str | None], list[Removed]]:
    """The lines of a text without page numbers and running heads.

    Returns:
        The lines, with None for each removed one so that line numbers stay, and the removed lines.
    """
    heads = _page_lines(lines)
    kept: list[str | None] = [line.replace("\f", "") for line in lines]
    removed = []
    for number, reason in sorted(heads.items()):
        removed.append((number + 1, reason, lines[number].strip("\f").strip()))
        kept[number] = None
    for number in heads:
        _close_gap(kept, number)
    removed += _take_numbers(kept)
    return kept, removed


def _take_numbers(lines: list[str | None]) -> list[Removed]:
    """Take marks of pages within the `lines` ("{p. 12}"), and the numbers of verses at their ends, out of them, if they
    count up; returns what was taken."""
    removed: list[Removed] = []
    for form in (_PAGE_MARK, _VERSE_NUMBER):
        found = [(at, mark) for at, line in enumerate(lines) if line for mark in form.finditer(line)]
        values = [int(mark["number"]) for _, mark in found]
        steps = [after - here for here, after in itertools.pairwise(values)]
        alike = sum(step > 0 if form is _PAGE_MARK else step in (5, 10) for step in steps)
        if len(values) < _MIN_PAGES or alike < 0.7 * len(steps):
            continue
        for at in {at for at, _ in found}:
            lines[at] = form.sub("", lines[at] or "")
        removed += [(at + 1, "page-number", mark[0].strip()) for at, mark in found]
    return removed


CAPTION = re.compile(
    r"[\[(](?:page \d{1,4}|(?:illustration|picture|image|photo)(?:\s*:[^\])\n]{0,300}|\s*\d{0,3}))[\])]",
    re.IGNORECASE,
)
"""What books with pictures have on lines of their own: "[Page 3]", "[Illustration: a boat at night]"."""

_PAGE_MARK = re.compile(r"[{\[](?:p|pg|page)\.? ?(?P<number>\d{1,4})[}\]] ?", re.IGNORECASE)
_VERSE_NUMBER = re.compile(r"(?<=\S)(?:\t| {2,})(?P<number>\d{1,4})[ \t]*$")


def _page_lines(lines: Sequence[str]) -> dict[int, str]:
    """The lines that are page numbers or running heads, by number from 0."""
    numbered = _beside_heads(lines)
    for number, line in enumerate(lines):
        line = line.replace("\f", "")
        if match := _PAGE_NUMBER.fullmatch(line) or _PAGE_HEAD.fullmatch(line):
            numbered.append((number, int(next(filter(None, match.groups())))))
    numbered = sorted(set(numbered))
    places = {number for number, _ in numbered}
    numbered = [
        one for one in numbered if places.isdisjoint((one[0] - 1, one[0] + 1))
    ]  # not a list of contents
    runs = [here for here, after in itertools.pairwise(numbered) if after[1] - here[1] == 1]
    found: dict[int, str] = {}
    if (
        len(runs) >= _MIN_PAGES - 1
        and len(runs) >= 0.7 * (len(numbered) - 1)
        and _breaks_text(lines, numbered)
    ):
        found = {number: "page-number" for number, _ in numbered}
    cut = [number for number, _ in numbered if is_in_sentence(lines, number)]
    if cut:  # numbers that count up beside one that is sure are page numbers, too
        is_run = len(runs) == len(numbered) - 1
        found |= dict.fromkeys([number for number, _ in numbered] if is_run else cut, "page-number")
    borders = {number for number, line in enumerate(lines) if "\f" in line} | set(found)
    if len(borders) < _MIN_PAGES:
        return found
    near: list[int] = []
    for border in borders:
        near += _neighbours(lines, border, found)
    forms = Counter(_form(lines[number]) for number in set(near))
    chapters = Counter(lines[number].strip() for number in set(near) if _is_chapter(lines[number]))
    for number in near:
        form = _form(lines[number])
        if chapters[lines[number].strip()] == 1:  # a page break before each chapter
            continue
        if forms[form] >= max(3, 0.25 * len(borders)) and len(form) < 80 and number not in found:
            found[number] = (
                "page-number" if _PAGE_NUMBER.fullmatch(lines[number].strip("\f")) else "running-head"
            )
    return found


def _beside_heads(lines: Sequence[str]) -> list[tuple[int, int]]:
    """The lines with a number and, after one space, a running head in capitals, as OCR writes them ("12 MARA QUILL"), if
    some have the number on the left: chapters have it on the right. Each with its place from 0, and the number."""
    heads = [
        (at, match["head"] or match["other"], int(match["left"] or match["right"]), bool(match["left"]))
        for at, line in enumerate(lines)
        if line.isupper() and (match := _CAPITAL_HEAD.fullmatch(line.strip())) and not _is_chapter(line)
    ]
    times = Counter(head for _, head, _, _ in heads)
    if not any(is_left and times[head] >= _MIN_PAGES - 1 for _, head, _, is_left in heads):
        return []
    return [(at, number) for at, head, number, _ in heads if times[head] >= _MIN_PAGES - 1]


_CAPITAL_HEAD = re.compile(
    r"(?P<left>\d{1,4}) (?P<head>[^\W\d_]\D{2,60})|(?P<other>[^\W\d_]\D{1,60}\S) (?P<right>\d{1,4})"
)


def numbers_alone(lines: Sequence[str]) -> list[tuple[int, int]]:
    """The lines that are only a number, which may be that of a page: each with its place from 0, and the number."""
    found = ((at, _PAGE_NUMBER.fullmatch(line.replace("\f", ""))) for at, line in enumerate(lines))
    return [(at, int(match["number"])) for at, match in found if match]


def is_in_sentence(lines: Sequence[str], number: int) -> bool:
    """Whether a line is only a page number, and interrupts a sentence: however few there are, nothing else does that."""
    if not _PAGE_NUMBER.fullmatch(lines[number].replace("\f", "")):
        return False
    before = next(
        (line.rstrip() for line in reversed(lines[max(0, number - 6) : number]) if line.strip()), ""
    )
    after = next((line.strip() for line in lines[number + 1 : number + 7] if line.strip()), "")
    return len(before) >= MIN_WIDTH and before.rstrip(",")[-1:].isalpha() and after[:1].islower()


def _is_chapter(line: str) -> bool:
    heading = find_heading(line.strip(), False)
    return heading is not None and heading.level in (PART, CHAPTER)


def _breaks_text(lines: Sequence[str], numbered: Sequence[tuple[int, int]]) -> bool:
    """Whether numbers on their own lines interrupt sentences, or come at regular distances: then they are page
    numbers."""
    cut = 0
    for number, _ in numbered:
        before = next(
            (line for line in reversed(lines[max(0, number - 6) : number]) if re.search("[a-zа-я]", line)), ""
        )
        before = before.strip()
        cut += bool(before) and before[-1] not in ".!?…\"”’'*»" and not _is_chapter(before)
    gaps = [after[0] - here[0] for here, after in itertools.pairwise(numbered)]
    middle = sorted(gaps)[len(gaps) // 2]
    regular = sum(abs(gap - middle) <= max(2, 0.1 * middle) for gap in gaps)
    return cut >= 0.25 * len(numbered) or (cut > 0 and middle < 80 and regular >= 0.8 * len(gaps))


def _neighbours(lines: Sequence[str], border: int, found: dict[int, str]) -> list[int]:
    """The two nearest lines with text on each side of a page break that are short enough for a running head."""
    near = []
    for step in (-1, 1):
        number = border if "\f" in lines[border] and step == 1 else border + step
        seen = 0
        while 0 <= number < len(lines) and seen < 2 and abs(number - border) < 8:
            if lines[number].strip("\f \t"):
                seen += 1
                if number not in found:
                    near.append(number)
            number += step
    return near


def _form(line: str) -> str:
    """A line with all its numbers replaced by the same mark."""
    return re.sub(r"\d+", "0", re.sub(r"\b[ivxl]{1,7}\b", "0", " ".join(line.split()).casefold()))


def _close_gap(lines: list[str | None], number: int) -> None:
    """Remove the blank lines around a page break if a sentence continues across it."""
    first = last = number
    while first > 0 and not (lines[first - 1] or "").strip():
        first -= 1
    while last + 1 < len(lines) and not (lines[last + 1] or "").strip():
        last += 1
    before = (lines[first - 1] or "").rstrip() if first else ""
    after = (lines[last + 1] or "").strip() if last + 1 < len(lines) else ""
    if before and after and (before[-1] not in ".!?…\"”’'*»:" or after[0].islower()):
        for place in range(first, last + 1):
            lines[place] = None


def _without_pictures(lines: list[str | None]) -> list[Removed]:
    """Remove "[Illustration: ...]" from the `lines` of a book of Project Gutenberg; returns what was removed."""
    removed: list[Removed] = []
    for first, line in enumerate(lines):
        if line and line.lstrip().startswith("[Illustration"):
            ends = (at for at in range(first, min(first + 12, len(lines))) if "]" in (lines[at] or ""))
            last = next(ends, first)
            text = "\n".join(line or "" for line in lines[first : last + 1])
            removed.append((first + 1, "picture", text.strip()))
            lines[first : last + 1] = [None] * (last + 1 - first)
    return removed


def without_gutenberg(lines: list[str | None]) -> list[Removed]:
    """Remove the licence of Project Gutenberg and the lines of its transcribers from the `lines` of one book.

    Returns:
        The removed lines; none if the text has no start and end of such a book, or more than one of each.
    """
    starts = [number for number, line in enumerate(lines) if line and GUTENBERG_START.match(line)]
    ends = [number for number, line in enumerate(lines) if line and GUTENBERG_END.match(line)]
    if len(starts) > 1 or not (starts or ends):
        return []
    removed = []
    end = min((number for number in ends if number > (starts or [0])[0]), default=len(lines))
    for first, last in ((0, starts[0] + 1 if starts else 0), (end, len(lines))):
        text = "\n".join(line for line in lines[first:last] if line is not None).strip()
        if text:
            removed.append((first + 1, "gutenberg-licence", text))
        for number in range(first, last):
            lines[number] = None
    credit = re.compile(
        r"(?:produced|transcribed|e-?text prepared|prepared) by\b|credits?:|\[transcriber|transcriber'?’?s note",
        re.IGNORECASE,
    )
    removed += _without_pictures(lines)
    for number, line in enumerate(lines):
        if line and "_" in line:
            lines[number] = _ITALICS.sub("", line)
    body = [number for number, line in enumerate(lines) if line and line.strip()][:30]
    for number in body:
        if credit.match((lines[number] or "").strip()):
            first = last = number
            while last + 1 < len(lines) and (lines[last + 1] or "").strip():
                last += 1
            removed.append(
                (first + 1, "transcriber", "\n".join(line or "" for line in lines[first : last + 1]))
            )
            lines[first : last + 1] = [None] * (last + 1 - first)
            break
    return removed


def unwrap(text: str) -> str:
    """A text whose lines were broken at one width, with each paragraph on a line; any other text as it is."""
    width = wrap_width(text.split("\n")) if may_be_wrapped(text) else 0
    return _paragraphs(text.split("\n"), width) if width else text


def unwrap_pages(text: str) -> tuple[str, list[Removed]]:
    """The same without page numbers and running heads, and what these were."""
    width = wrap_width(text.split("\n")) if may_be_wrapped(text) else 0
    if not width:
        return text, []
    lines, removed = without_pages(text.split("\n"))
    return _paragraphs([line for line in lines if line is not None], width), removed


def _paragraphs(lines: Sequence[str], width: int) -> str:
    """The paragraphs of lines broken at a width. A line with only a number never becomes a part of one: it is the number of a
    page or of a chapter."""
    parts: list[str] = []
    group: list[str] = []
    for line in [*lines, ""]:
        is_number = _PAGE_NUMBER.fullmatch(line) is not None
        if line.strip() and not is_number:
            group.append(line)
        elif group:
            parts += joined(group, width)
            group = []
        if is_number:
            parts.append(line.strip())
    return "\n\n".join(parts)
