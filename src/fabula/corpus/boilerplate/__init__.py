"""Finds the text in a story's record that is not story: promotions, edits, thanks, author's notes, part links."""

import re
from collections.abc import Collection, Sequence

from fabula.baseline import pattern
from fabula.corpus.boilerplate import detect, gutenberg
from fabula.corpus.boilerplate.rules import RULE_LIST
from fabula.errors import FabulaError, did_you_mean
from fabula.formatting import count_stories
from fabula.story import Span

RULE_SETS: dict[str, str] = {
    "reddit": "stories from r/WritingPrompts and similar subreddits: edits, promotions, thanks, part links, author's notes",
    "ao3": "works from the Archive of Our Own: header, summary, the notes of works and chapters, kudos",
    "fanfiction": "stories from FanFiction.net: A/N, disclaimers, headers, review responses",
    "wattpad": "stories from Wattpad: notes, votes, dedications, questions to the readers",
    "royalroad": "serials from Royal Road: notes before and after a chapter, calls to read ahead, navigation",
    "web": "stories from other web pages, blogs and newsletters: all of these sites' boilerplate, bylines",
    "gutenberg": "texts from Project Gutenberg: licence, credits, transcriber's notes, picture and page marks",
    "gutenberg-headings": "like gutenberg, and also chapter headings",
    "notebook": "the only pattern of the notebook baseline, for comparison: a match removes everything after the first paragraph",
    "none": "nothing is removed",
}

SITE_NAMES = {
    "reddit": "Reddit",
    "ao3": "the Archive of Our Own",
    "fanfiction": "FanFiction.net",
    "wattpad": "Wattpad",
    "royalroad": "Royal Road",
}

RULES: dict[str, str] = {rule.name: rule.doc for rule in RULE_LIST} | gutenberg.RULES | pattern.RULES

_MARKS = {
    "reddit": r"(?<![\w.])/?r/\w|reddit|\bEDIT\b|\bEdit ?\d?:|upvot|\[WP\]|writing ?prompt|\bOP\b|\bgold\b",
    "ao3": r"archive ?of ?our ?own|\bao3\b|\bkudos\b|chapter end notes|archive warning|additional tags|beginning notes|end notes",
    "fanfiction": r"\br ?& ?r\b|\b(?:don't|do not) own\b|fanfiction\.net|\bffn?\b|disclaimer ?:|reviewers\b|\brated ?:",
    "wattpad": r"wattpad|\bvote\b|\b[qa]otd\b|un-?edited|dedicated to @",
    "royalroad": r"royal ?road|^\W*a note from \S|rising stars|(?:advance|ahead)[^.\n]{0,40}patreon|fiction index",
}
_MARK = {name: re.compile(pattern, re.IGNORECASE | re.MULTILINE) for name, pattern in _MARKS.items()}
"""Patterns that are typical of the notes on a site, by the name of its rule set."""

MAX_LOOKED_AT = 2000  # stories


def find_boilerplate(text: str, rule_set: str = "reddit", keep: Collection[str] = ()) -> list[Span]:
    """The spans of `text` that are not story, sorted and without overlap. See `examine`."""
    return examine(text, rule_set, keep)[0]


def examine(text: str, rule_set: str = "reddit", keep: Collection[str] = ()) -> tuple[list[Span], list[Span]]:
    """The spans of `text` that are not story, and doubtful ones, which may be story; both sorted and without overlap.

    Takes time linear in the length of the text; only the beginning and end of a story are analysed in detail.

    Args:
        text: a story; one or more newlines between paragraphs.
        rule_set: one of `RULE_SETS`.
        keep: names of `RULES` that are not applied.

    Raises:
        FabulaError: there is no such rule set, or no such rule in `keep`.
    """
    for name in keep:
        if name not in RULES:
            raise FabulaError(f"no rule {name!r}", hint=did_you_mean(name, RULES))
    if rule_set == "none":
        return [], []
    if rule_set == "notebook":
        return [] if "notebook" in keep else pattern.find(text), []
    if rule_set.startswith("gutenberg") and rule_set in RULE_SETS:
        return gutenberg.find(text, rule_set == "gutenberg-headings", keep), []
    if rule_set in RULE_SETS:
        return detect.find(text, rule_set, keep)
    raise FabulaError(f"no rule set {rule_set!r}", hint=did_you_mean(rule_set, RULE_SETS))


def choose_rule_set(texts: Sequence[str]) -> tuple[str, str]:
    """The rule set that suits these stories, and the reason in one line.

    Of more than `MAX_LOOKED_AT` stories, only that many, at equal distances, are inspected.
    """
    texts = texts[:: max(1, -(-len(texts) // MAX_LOOKED_AT))]
    looked = f"of {count_stories(len(texts), 'inspected')}"
    books = sum("Project Gutenberg" in text or "Transcriber's Note" in text for text in texts)
    notes = [_notes(text, "web") + _notes(text, "reddit") for text in texts]
    num_noted = sum(bool(found) for found in notes)
    marked = {name: sum(mark.search(found) is not None for found in notes) for name, mark in _MARK.items()}
    site = max(marked, key=lambda name: marked[name])
    if books and books >= marked[site]:
        return "gutenberg", f"{books} {looked} name Project Gutenberg"
    if marked[site] and 4 * marked[site] >= num_noted:
        return (
            site,
            f"{num_noted} {looked} have notes by their authors, {marked[site]} with words from {SITE_NAMES[site]}",
        )
    if num_noted > 0.01 * len(texts):
        return (
            "web",
            f"{num_noted} {looked} have notes by their authors or parts of a web page, but not from a known site",
        )
    return "none", f"{num_noted or 'none'} {looked} {'have' if num_noted != 1 else 'has'} a note"


def _notes(text: str, rule_set: str) -> str:
    """What a rule set would remove from a text."""
    return "\n".join(text[span.start : span.end] for span in find_boilerplate(text, rule_set))
