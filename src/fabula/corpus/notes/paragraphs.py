"""The paragraphs at the two ends of a story, as the rules see them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

# A run of at least three rule characters (`----`, `* * *`, `\____`, `~~-----~~`), or one alone in its paragraph.
DIVIDER = re.compile(r"[\s>]*(?:(?:[-–—_*=~#+•·.^\\]\s?){3,400}|[-–—*~#=]{1,2}|&nbsp;|&#x200[bB];|\u200b)\s*")
INLINE_DIVIDER = re.compile(
    r"(?:(?<=\s)|^)(?:[-–—_=~][ ]?){3,200}(?=\s|[^\s\w])|(?:(?<=\s)|^)(?:\*[ ]?){3,50}(?=\s)"
)
# Where one sentence ends and another may start; or where a bracket or an EDIT label opens.
_PIECE = re.compile(
    r"(?<=[.!?…\"”’*_~])\s+(?=[^\s)\]])|\s+(?=[*_(\[^~]{0,4}(?:EDIT|Edit)\b)|(?<!\])\s+(?=\^?[(\[][^()\[\]]{0,200}[)\]]\W{0,3}$)"
)
_MARKS = re.compile(r"[*_~^\\`]+")
_SPACED = re.compile(r" (?=(?:n't|'s|'m|'re|'ve|'ll|'d)\b)")
_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "\u00a0": " "})
# What is said in quotation marks, or in italics in the middle of a paragraph, is not the author's voice. The closing mark
# of a single quote is no apostrophe.
_SPOKEN = re.compile(
    r"“[^“”]{0,3000}”|\"[^\"]{0,3000}\"|‘[^‘]{0,3000}?’(?!\w)|(?<![\w'])'[^'\n][^\n]{0,800}?[.,!?-]'(?!\w)"
    r"|(?<=[\w.,!?;:] )\*(?=\w)[^*\n]{15,400}\*(?![*\w])"
)
_EDIT = re.compile(r"\bEDIT(?=\d|\b)")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A stretch of a story between newlines (or, in a story of one paragraph, a sentence).

    Attributes:
        start, end: where it is in the story's text, white space at its ends left out.
        raw: its text.
        is_divider: it is a rule line and nothing else.
    """

    start: int
    end: int
    raw: str
    is_divider: bool


def fold(text: str) -> str:
    """`text` as the signs see it: lower case, straight quotes, one space between words, no Markdown marks, nothing of
    what stands between quotation marks, `n't` joined to its verb again.

    EDIT in capitals is followed by U+0002, and a text that is all superscript starts with U+0001.
    """
    small = text.startswith("^")
    text = _EDIT.sub("EDIT\x02", _SPOKEN.sub('""', text)) if "EDIT" in text else _SPOKEN.sub('""', text)
    text = " ".join(_MARKS.sub("", text.translate(_STRAIGHT).lower()).split())
    text = _SPACED.sub("", text)
    return "\x01" + text if small else text


def _paragraph(text: str, start: int, end: int) -> Paragraph | None:
    raw = text[start:end]
    stripped = raw.strip()
    if not stripped:
        return None
    start += raw.index(stripped[0])
    return Paragraph(
        start, start + len(stripped), stripped, len(stripped) < 400 and bool(DIVIDER.fullmatch(stripped))
    )


def from_the_end(text: str, max_chars: int) -> Iterator[Paragraph]:
    """The paragraphs in the last `max_chars` characters of `text`, from the last one back; the furthest may be cut off."""
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
    """Characters `start` to `end` of `text` cut into sentences and inline rules (`... the end. --- /r/name`)."""
    part = text[start:end]
    rules = [(start + match.start(), start + match.end()) for match in INLINE_DIVIDER.finditer(part)]
    cuts = {
        start,
        end,
        *(start + match.end() for match in _PIECE.finditer(part)),
        *(cut for rule in rules for cut in rule),
    }
    found = (_paragraph(text, a, b) for a, b in pairwise(sorted(cuts)))
    starts = {rule[0] for rule in rules}
    return [replace(piece, is_divider=piece.start in starts) for piece in found if piece]
