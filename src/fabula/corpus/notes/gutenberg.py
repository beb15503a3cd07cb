"""Project Gutenberg: the licence at both ends, transcriber's notes, and on request chapter headings."""

import re

from fabula.story import Span

ENDS_CHARS = 40_000
_START = re.compile(r"^[ \t]*\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]{0,300}$", re.MULTILINE)
_END = re.compile(
    r"^[ \t]*(?:\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg)[^\n]{0,300}$",
    re.MULTILINE,
)


def find(text: str) -> list[Span]:
    """The spans of `text` that Project Gutenberg or its volunteers added."""
    spans = []
    if match := _START.search(text, 0, ENDS_CHARS):
        spans.append(Span(0, match.end(), "gutenberg_header", 0.99))
    if match := _END.search(text, max(0, len(text) - ENDS_CHARS)):
        spans.append(Span(match.start(), len(text), "gutenberg_licence", 0.99))
    return spans
