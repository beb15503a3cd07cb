"""Find the text in a story's record that is not story: promotions, edits, thanks, author's notes, part links."""

from collections.abc import Collection, Sequence

from fabula.corpus.notes import detect, gutenberg, seed
from fabula.corpus.notes.rules import RULE_LIST
from fabula.errors import FabulaError, did_you_mean
from fabula.story import Span

RULE_SETS: dict[str, str] = {
    "reddit": "stories of r/WritingPrompts and the like: edits, promotions, thanks, part links, author's notes",
    "gutenberg": "books of Project Gutenberg: licence, transcriber's notes",
    "web": "stories from web pages: author's notes, promotions, links",
    "seed": "the seed notebook's one pattern, for comparison: a match takes all after the first paragraph",
    "none": "nothing is taken out",
}

RULES: dict[str, str] = {rule.name: rule.doc for rule in RULE_LIST}


def find_notes(text: str, rule_set: str = "reddit", keep: Collection[str] = ()) -> list[Span]:
    """The spans of `text` that are not story, sorted and without overlap.

    Args:
        text: a story; one or more newlines between paragraphs.
        rule_set: one of `RULE_SETS`.
        keep: names of `RULES` whose spans are left in.

    Raises:
        FabulaError: no such rule set.
    """
    if rule_set == "none":
        return []
    if rule_set == "seed":
        return seed.find(text)
    if rule_set == "gutenberg":
        return gutenberg.find(text)
    if rule_set in RULE_SETS:
        return detect.find(text, rule_set, keep)
    raise FabulaError(f"no rule set {rule_set!r}", hint=did_you_mean(rule_set, RULE_SETS))


def choose_rule_set(texts: Sequence[str]) -> tuple[str, str]:
    """The rule set that suits these stories, and one line that says why."""
    found = {name: sum(bool(find_notes(text, name)) for text in texts) for name in ("gutenberg", "reddit")}
    name = max(found, key=lambda name: found[name])
    if not found[name]:
        return "none", f"no note of a known kind in {len(texts)} stories"
    return name, f"{found[name]} of {len(texts)} stories have a note of the {name} kind"
