"""The paragraphs at the two ends of a story, in the form that the rules search."""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import pairwise

# A run of at least three divider characters (`----`, `* * *`, `\____`, `~~-----~~`), or one alone in its paragraph.
# Also letters that are used like them (`xXxXxXx`, `-o-o-o-`), and lines of symbols or emoji (`♡♡♡`).
DIVIDER = re.compile(
    r"[\s>]*(?:(?:[-–—_*=~#+•·.^\\/]\s?){3,400}|[-–—*~#=_]{1,2}|\.|…|&nbsp;|&#x200[bB];|\u200b"
    r"|(?:[xX]\s?){3,80}|[-~*.=]{0,3}(?:[xXoO0][-~*.= ]{0,3}){5,80}|[-~*=]{1,3}[xXoO0][-~*=]{1,3}|-?(?:[xXoO0]-){3,40}|(?:[\u2042\u2190-\u21ff\u2500-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff]\ufe0f?\s?){1,40})\s*"
)
END_MARK = re.compile(r"[\s*_~=–—-]{0,8}(?:the end|fin|finis|end)[.!]{0,3}[\s*_~=–—-]{0,8}", re.IGNORECASE)
INLINE_DIVIDER = re.compile(
    r"(?:(?<=\s)|^)(?:[-–—_=~][ ]?){3,200}(?=\s|[^\s\w])|(?:(?<=\s)|^)(?:\*[ ]?){3,50}(?=\s)"
)
# every inline divider contains one of these, and they are found quickly
_DIVIDER_MARKS = re.compile(r"[-–—_=~*] ?[-–—_=~*]")
# Where one sentence ends and another may start, or where a bracket or an EDIT label opens ("there was an EDIT 3." has
# no label).
_PIECE = re.compile(
    r"(?<=[.!?…\"”’*_~])\s+(?=[^\s)\]])|\s+(?=[*_(\[^~]{0,4}(?:EDIT|Edit)\b(?! ?\d{0,2}[.!?]))|(?<!\])\s+(?=\^?[(\[][^()\[\]]{0,200}[)\]]\W{0,3}$)"
)
_MARKS = "*_~^\\`"
_SPACED = re.compile(r" (?=(?:n't|'s|'m|'re|'ve|'ll|'d)\b)")
_STRAIGHT = {"’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "\u00a0": " "}
# Quoted speech, and italics in the middle of a paragraph, are a character's words, not the author's. The closing mark
# of a single quote is not an apostrophe. Each alternative begins with its mark, so that the search skips all other
# characters.
_SPOKEN = re.compile(
    r"“[^“”]{0,3000}”|\"[^\"]{0,3000}\"|‘[^‘]{0,3000}?’(?!\w)|'(?<![\w']')[^'\n][^\n]{0,800}?[.,!?-]'(?!\w)"
    r"|\*(?<=[\w.,!?;:] \*)(?=\w)[^*\n]{15,400}\*(?![*\w])"
)
_EDIT = re.compile(r"\bEDIT(?=\d|\b)(?! [A-Z]{3,}[ ,.:!])")  # `EDIT MODE, said the panel.` has no label


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A stretch of a story between newlines (or, in a story of one paragraph, a sentence).

    Attributes:
        start, end: its position in the story's text, without white space at its ends.
        raw: its text.
        is_divider: whether it is a divider and nothing else.
    """

    start: int
    end: int
    raw: str
    is_divider: bool


def fold(text: str) -> str:
    """`text` in the form that signs are matched against: lower case, straight quotes, one space between words, without
    Markdown marks and quoted text, `n't` joined to its verb.

    EDIT in capitals is followed by U+0002, and a text that is all superscript starts with U+0001.
    """
    small = text.startswith("^")
    text = _EDIT.sub("EDIT\x02", _SPOKEN.sub('""', text)) if "EDIT" in text else _SPOKEN.sub('""', text)
    if not text.isascii():
        for mark, plain in _STRAIGHT.items():
            text = text.replace(mark, plain)  # several times as fast as str.translate
    text = text.lower()
    for mark in _MARKS:
        text = text.replace(mark, "")
    text = " ".join(text.split())
    if " n't" in text or " '" in text:
        text = _SPACED.sub("", text)
    return "\x01" + text if small else text


def _paragraph(text: str, start: int, end: int, dividers: Container[int] | None = None) -> Paragraph | None:
    """The paragraph between `start` and `end`, if there is text; it is a divider if it looks like one, or starts at one
    of `dividers`."""
    raw = text[start:end]
    stripped = raw.strip()
    if not stripped or stripped == ">":
        return None
    start += raw.index(stripped[0])
    if dividers is not None:
        is_divider = start in dividers
    else:
        is_divider = len(stripped) < 400 and DIVIDER.fullmatch(stripped) is not None
    return Paragraph(start, start + len(stripped), stripped, is_divider)


def from_the_end(text: str, max_chars: int) -> Iterator[Paragraph]:
    """The paragraphs in the last `max_chars` characters of `text`, from the last one backwards; the first one may be
    cut off."""
    end = len(text.rstrip())
    floor = max(0, end - max_chars)
    while end > floor:
        cut = text.rfind("\n", floor, end)
        if paragraph := _paragraph(text, floor if cut < 0 else cut + 1, end):
            yield paragraph
        end = cut


def from_the_start(text: str, max_chars: int) -> Iterator[Paragraph]:
    """The paragraphs in the first `max_chars` characters of `text`, from the first one on; the last may be cut off."""
    ceiling = min(len(text), max_chars)
    start = 0
    while start < ceiling:
        cut = text.find("\n", start, ceiling)
        cut = ceiling if cut < 0 else cut
        if paragraph := _paragraph(text, start, cut):
            yield paragraph
        start = cut + 1


def pieces(text: str, start: int, end: int) -> list[Paragraph]:
    """Characters `start` to `end` of `text` cut into sentences and inline dividers (`... the end. --- /r/name`)."""
    part = text[start:end]
    dividers = {}
    if _DIVIDER_MARKS.search(part):
        dividers = {start + match.start(): start + match.end() for match in INLINE_DIVIDER.finditer(part)}
    ends = (start + match.end() for match in _PIECE.finditer(part))
    cuts = sorted({start, end, *ends, *dividers.keys(), *dividers.values()})
    found = (_paragraph(text, a, b, dividers) for a, b in pairwise(cuts))
    return [piece for piece in found if piece]
