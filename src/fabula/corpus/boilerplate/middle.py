"""Finds notes between paragraphs of a story, and inside them. Only an author's label counts.

An `EDIT:` does not count: narrators who post their story to a forum add them.
"""

import re
from collections.abc import Iterator

from fabula.corpus.boilerplate.evidence import score_paragraph
from fabula.corpus.boilerplate.paragraphs import Paragraph
from fabula.corpus.boilerplate.rule import CERTAIN
from fabula.story import Span

MAX_CHARS = 600
"""A longer paragraph is story."""

MAX_CANDIDATES = 200
"""The number of paragraphs that are inspected."""

LEAST_SCORE = 6.0
"""The least score (log-odds) of a note."""

_MARKS = ("A/N", "a/n", "Author's", "Author’s", "AUTHOR")  # fast to find
_ASIDE = re.compile(r" ?[(\[](?:A/N|a/n|[Aa]uthor['’]s [Nn]ote)\b[^()\[\]]{1,400}[)\]]")


def find(text: str, start: int, end: int, rule_set: str) -> list[Span]:
    """The notes in `text[start:end]`, which begins and ends with a paragraph of the story."""
    spans: list[Span] = []
    for first, last in _candidates(text, start, end):
        raw = text[first:last]
        one = score_paragraph(Paragraph(first, last, raw, False), rule_set, "tail")
        if one.score >= LEAST_SCORE and one.evidence.get("label", 0.0) >= CERTAIN:
            spans.append(Span(first, _skip_breaks(text, last), "label", 0.99))
        else:
            spans += [
                Span(first + aside.start(), first + aside.end(), "label", 0.99)
                for aside in _ASIDE.finditer(raw)
            ]
    return spans


def _candidates(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The paragraphs with a mark, in the order of the text."""
    found: set[tuple[int, int]] = set()
    for mark in _MARKS:
        at = start
        while len(found) < MAX_CANDIDATES and (at := text.find(mark, at, end)) >= 0:
            last = text.find("\n", at, end)
            last = end if last < 0 else last
            first = max(start, text.rfind("\n", start, at) + 1)
            if last - first <= MAX_CHARS:
                found.add((first, last))
            at = last
    yield from sorted(found)


def _skip_breaks(text: str, at: int) -> int:
    while at < len(text) and text[at] == "\n":
        at += 1
    return at
