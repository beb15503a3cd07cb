"""Joins lines that were broken at one width to paragraphs."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

MIN_WIDTH, SURE_WIDTH, MAX_WIDTH = 28, 50, 160
"""Widths at which prose is broken. Lines narrower than `SURE_WIDTH` may be verse, and wider ones than `MAX_WIDTH` are
paragraphs."""

MAX_INDENT = 20
"""A line with a larger indent is centred."""

_MIN_PAIRS = 8


def may_be_wrapped(text: str) -> bool:
    """Whether the first lines of a text are short enough to be broken at one width; most texts' are not."""
    first_lines = text[: _MIN_PAIRS * (MAX_WIDTH + 1)].split("\n")[:_MIN_PAIRS]
    return max(map(len, first_lines)) <= MAX_WIDTH


def wrap_width(lines: Sequence[str]) -> int:
    """The width at which lines of prose were broken, or 0 if they were not.

    Lines count as broken if, nearly always, the first word of the next line would not have fitted, and many lines begin
    within a sentence.
    """
    filled = [line for line in lines if line.strip()]
    is_flush = sum(not line[0].isspace() for line in filled) > 0.5 * len(filled)
    pairs = [
        (line.rstrip(), after.strip())
        for line, after in itertools.pairwise(lines)
        if line.strip()
        and after.strip()
        and not starts_indented(after, line)
        and not (is_flush and _indent(after) == _indent(line) > 0)  # two paragraphs of a line each
        and _indent(line) <= MAX_INDENT
    ]
    if len(pairs) < _MIN_PAIRS:
        return 0
    # Some programs do not count the indent of a paragraph's first line.
    flush = [len(line) for line, _ in pairs if not line[0].isspace()]
    widths = sorted(flush if 2 * len(flush) > len(pairs) else (len(line) for line, _ in pairs))
    width = widths[int(0.98 * (len(widths) - 1))]
    if not MIN_WIDTH <= width <= MAX_WIDTH:
        return 0
    # A few short lines, such as an address, are no evidence.
    long = [pair for pair in pairs if max(map(len, pair)) > 0.6 * width]
    pairs = long if len(long) >= max(_MIN_PAIRS, 0.7 * len(pairs)) else pairs
    full = sum(len(line) + 1 + _first_word(after) > width - 4 for line, after in pairs)
    # Like the lines of verse and lists.
    begun = sum(after[0].isupper() or not after[0].isalpha() for _, after in pairs)
    is_wrapped = full >= 0.85 * len(pairs) and begun < 0.6 * len(pairs)
    return width if is_wrapped and (width >= SURE_WIDTH or _are_paragraphs(lines)) else 0


def _are_paragraphs(lines: Sequence[str]) -> bool:
    """Whether groups of narrow lines are paragraphs: nearly all end with a sentence, and they differ in length as stanzas
    do not."""
    groups: list[list[str]] = [[]]
    for before, line in itertools.pairwise(["", *lines]):
        if groups[-1] and (not line.strip() or starts_indented(line, before)):
            groups.append([])
        if line.strip():
            groups[-1].append(line.rstrip())
    long = [group for group in groups if len(group) > 1]
    ended = sum(bool(re.search(r"[.!?…:。！？][\"”’')»」]*$", group[-1])) for group in long)
    common = Counter(map(len, long)).most_common(1)
    return len(long) >= 4 and ended >= 0.85 * len(long) and common[0][1] <= 0.5 * len(long)


def _first_word(line: str) -> int:
    """The number of letters at a line's beginning that stay together: one in Chinese and Japanese."""
    return len(line.split()[0]) if line.lstrip()[0] < "\u2e80" else 1


def starts_indented(line: str, before: str) -> bool:
    """Whether a line is indented more than the one before, like the first line of a paragraph."""
    return _indent(line) > _indent(before) and _indent(line) >= 1


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def joined(lines: Sequence[str], width: int) -> list[str]:
    """Join lines without blank ones between them to paragraphs.

    A new paragraph begins at an indented line, and after a line that ends a sentence far from the margin. Lines that are
    all short (verse, a letter's head) stay lines of one paragraph, separated by "\\n".
    """
    if len(lines) > 1 and _is_verse(lines, width):
        return ["\n".join(line.strip() for line in lines)]
    paragraphs: list[list[str]] = []
    for number, line in enumerate(lines):
        before = lines[number - 1] if number else ""
        ends = len(before.rstrip()) < 0.7 * width and re.search(r"[.!?…:][\"”’')]*$", before.rstrip())
        room = len(before.rstrip()) + 1 + _first_word(line) <= width - 8
        is_next = _indent(line) == _indent(before) > 0 and room
        if not number or starts_indented(line, before) or ends or is_next:
            paragraphs.append([])
        paragraphs[-1].append(line.strip())
    return [_join(paragraph) for paragraph in paragraphs]


def _is_verse(lines: Sequence[str], width: int) -> bool:
    """Whether most lines end although the next word would have fitted."""
    room = sum(
        len(line.rstrip()) + 1 + _first_word(after) <= width - 8 for line, after in itertools.pairwise(lines)
    )
    return room > 0.6 * (len(lines) - 1)


def _join(lines: Sequence[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        if text.endswith("\u00ad"):
            text = text[:-1] + line
        elif re.search(r"\w-$", text) and line[:1].islower():
            text = text + line if _keeps_hyphen(text, line) else text[:-1] + line
        elif text.endswith(("—", "--")) or (text[-1:] > "\u2e80" and line[:1] > "\u2e80"):
            text += line
        else:
            text += " " + line
    return text


def _keeps_hyphen(text: str, line: str) -> bool:
    """Whether the hyphen at the end of a line belongs to the word: both halves occur in the lines as separate words."""
    first = re.split(r"[\s—]", text)[-1].rstrip("-").lower()
    second = re.split(r"[\s—]", line)[0].strip('.,;:!?"”').lower()
    return (
        "-" in first
        or "-" in second
        or first in _PREFIXES
        or (len(first) > 3 and len(second) > 3 and second in _SECOND)
    )


_PREFIXES = {
    "self", "half", "well", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "ex", "all",
    "great",
}  # fmt: skip
_SECOND = {
    "like", "eyed", "haired", "hearted", "handed", "headed", "house", "table", "room", "made", "time", "long", "known",
    "light",
}  # fmt: skip
