"""Finds notes between paragraphs of a story, and inside them, by an author's label, a site's notice or the news of a hiatus.

An `EDIT:` needs a second sign: narrators who post their story to a forum add edits, too.
"""

import re
from collections.abc import Iterator, Sequence

from fabula.corpus.boilerplate.evidence import ScoredParagraph, score_paragraph
from fabula.corpus.boilerplate.paragraphs import Paragraph
from fabula.corpus.boilerplate.rule import CERTAIN, LIKELY
from fabula.story import Span

MAX_CHARS = 600
"""A longer paragraph is story."""

MAX_CANDIDATES = 200
"""The number of paragraphs that are inspected."""

LEAST_SCORE = 6.0
"""The least score (log-odds) of a note."""

_MARKS = ("A/N", "a/n", "Author", "AUTHOR", "EDIT", "Edit:", "hiatus", "\n(", "\n[")  # fast to find
_SITE_MARKS = {
    "fanfiction": ("(AN",),
    "wattpad": ("(AN",),
    "royalroad": ("Amazon", "site", "platform", "Royal Road"),
    "web": ("Amazon", "platform", "Royal Road"),
}
_ASIDE = re.compile(r" ?[(\[](?:A/?N|a/n|[Aa]uthor['’]s [Nn]ote)\b[^()\[\]]{1,400}[)\]]")
_BARE = re.compile(r"\W*(?:[\w/'’]+\W+){0,2}[\w/'’]+\W*")
"""A label and nothing after it."""


def find(text: str, start: int, end: int, rule_set: str) -> list[Span]:
    """The notes in `text[start:end]`, which begins and ends with a paragraph of the story."""
    spans: list[Span] = []
    for first, last in _candidates(text, start, end, (*_MARKS, *_SITE_MARKS.get(rule_set, ()))):
        raw = text[first:last]
        one = _score(text, first, last, rule_set)
        if rule := _rule(one):
            if rule == "label" and _BARE.fullmatch(raw):  # a heading, unless what follows is a note
                first_below = _skip_breaks(text, last)
                last = text.find("\n", first_below, end)
                if last < 0 or _score(text, first_below, last, rule_set).score < LIKELY:
                    continue
            if not _is_introduced(text, first):
                spans.append(Span(first, _skip_breaks(text, last), rule, 0.99))
        else:
            spans += [
                Span(first + aside.start(), first + aside.end(), "label", 0.99)
                for aside in _ASIDE.finditer(raw)
            ]
    return spans


def _score(text: str, first: int, last: int, rule_set: str) -> ScoredParagraph:
    return score_paragraph(Paragraph(first, last, text[first:last], False), rule_set, "tail")


def _rule(one: ScoredParagraph) -> str:
    """The rule by which a paragraph is a note even between paragraphs of story, or ""."""
    if one.score < LEAST_SCORE:
        return ""
    for rule in ("label", "theft_notice"):
        if one.evidence.get(rule, 0.0) >= CERTAIN:
            return rule
    if (
        one.evidence.get("part_link", 0.0) >= CERTAIN
        and one.paragraph.raw[0] in "(["
        and one.paragraph.raw[-1] in ")]"
    ):
        return "part_link"
    if one.evidence.get("author_note", 0.0) >= CERTAIN and "hiatus" in one.paragraph.raw:
        return "author_note"
    return "edit" if one.evidence.get("edit", 0.0) >= CERTAIN and one.names_the_site else ""


def _is_introduced(text: str, first: int) -> bool:
    """Whether the paragraph before presents this one as written by somebody in the story: `She began to type:`."""
    return text[max(0, first - 20) : first].rstrip().rstrip("*_").endswith(":")


def _candidates(text: str, start: int, end: int, marks: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The paragraphs with a mark, in the order of the text."""
    found: set[tuple[int, int]] = set()
    has_slash = "/" in text  # a single character is found much faster
    for mark in marks:
        if "/" in mark and not has_slash:
            continue
        at = start
        while len(found) < MAX_CANDIDATES and (at := text.find(mark, at, end)) >= 0:
            at += mark[0] == "\n"
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
