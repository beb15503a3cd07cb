"""Project Gutenberg: the licence at both ends, credits, transcriber's notes, pictures, pages; on request, headings."""

import re
from collections.abc import Collection

from fabula.corpus.gutenberg import GUTENBERG_END, GUTENBERG_START
from fabula.story import Span

RULES: dict[str, str] = {
    "gutenberg_header": "Everything up to Project Gutenberg's line `*** START OF ...`, and the credits directly after it.",
    "gutenberg_licence": "Everything from `*** END OF ...` or `End of Project Gutenberg's ...` on, which is the licence.",
    "transcriber_note": "A transcriber's note: anywhere in square brackets, or one or more paragraphs under that heading at the beginning or end.",
    "illustration": "The placeholder of a picture, with its caption: `[Illustration: ...]`.",
    "page_number": "The number of a page of the printed book: `[Pg 12]`.",
    "chapter_heading": "A line that only numbers or names a chapter (rule set `gutenberg-headings`).",
}

HEAD_CHARS, TAIL_CHARS = 40_000, 60_000
MAX_BRACKET = 3_000  # most characters in a bracketed note

_CREDIT = re.compile(
    r"\s*(?:Produced by|E-?text prepared by|Transcribed from|This e?text was (?:produced|prepared)|HTML version by|Updated editions will)"
    r"[^\n]{0,400}(?:\n(?!\s*\n)[^\n]{0,120}){0,4}",
    re.IGNORECASE,
)
_NOTE_BRACKET = re.compile(r"\[ ?Transcriber[’']?s?[’']?s? notes?\b", re.IGNORECASE)
_NOTE_HEADING = re.compile(
    r"^[ \t*_=]{0,8}Transcriber[’']?s?[’']? ?(?:end )?notes?[ \t]?[:.]?[*_=]{0,4}",
    re.MULTILINE | re.IGNORECASE,
)
_PAGE = re.compile(r"[ \t]?\[(?:Pg|Page|p\.) ?\d{1,4}\]")
_HEADING = re.compile(
    r"^[ \t*_#]{0,4}(?:(?:CHAPTER|BOOK|PART|CANTO|VOLUME|Chapter|Book|Part|Canto|Volume)[ \t]+(?:[IVXLC]{1,7}|\d{1,3}|[A-Z][A-Za-z-]{2,12})\b"
    r"(?:[.:—–-][^\n]{0,80})?|[IVXLC]{1,7}\.?)[ \t*_.]{0,4}$",
    re.MULTILINE,
)


def find(text: str, headings: bool, keep: Collection[str]) -> list[Span]:
    """The spans of `text` that Project Gutenberg or its volunteers added, and with `headings` its chapter headings."""
    spans: list[Span] = []
    start, end = 0, len(text)
    for match in GUTENBERG_START.finditer(text, 0, HEAD_CHARS):
        start = match.end()
    if start:
        while match := _CREDIT.match(text, start):
            start = match.end()
        spans.append(Span(0, start, "gutenberg_header", 0.99))
    if match := GUTENBERG_END.search(text, max(start, len(text) - TAIL_CHARS)):
        end = match.start()
        spans.append(Span(end, len(text), "gutenberg_licence", 0.99))
    spans += _transcriber_notes(text, start, end)
    spans += _bracketed(text, "[Illustration", start, end)
    if "[P" in text or "[p." in text:
        spans += [Span(*match.span(), "page_number", 0.95) for match in _PAGE.finditer(text, start, end)]
    if headings:
        spans += [
            Span(*match.span(), "chapter_heading", 0.9) for match in _HEADING.finditer(text, start, end)
        ]
    kept: list[Span] = []
    for span in sorted(span for span in spans if span.rule not in keep):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _transcriber_notes(text: str, start: int, end: int) -> list[Span]:
    spans: list[Span] = []
    for match in _NOTE_BRACKET.finditer(text, start, end):
        close = text.find("]", match.end(), min(end, match.end() + MAX_BRACKET))
        if close >= 0:
            spans.append(Span(match.start(), close + 1, "transcriber_note", 0.95))
    tail = max(start, end - 10_000, (start + end) // 2)
    if match := _NOTE_HEADING.search(text, tail, end):
        spans.append(Span(match.start(), end, "transcriber_note", 0.9))
    if match := _NOTE_HEADING.search(text, start, min(tail, start + 3_000)):
        paragraph = text.find("\n\n", match.end() + 3, end)
        if 0 <= paragraph < match.end() + MAX_BRACKET:
            spans.append(Span(match.start(), paragraph, "transcriber_note", 0.8))
    return spans


def _bracketed(text: str, opening: str, start: int, end: int) -> list[Span]:
    spans: list[Span] = []
    while (at := text.find(opening, start, end)) >= 0:
        close = text.find("]", at, min(end, at + MAX_BRACKET))
        start = at + len(opening)
        if close >= 0:
            spans.append(Span(at, close + 1, "illustration", 0.95))
            start = close + 1
    return spans
