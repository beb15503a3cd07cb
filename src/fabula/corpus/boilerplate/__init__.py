"""Find the text in a story's record that is not story: promotions, edits, thanks, author's notes, part links."""

import re
from collections.abc import Collection, Sequence

from fabula.baseline import pattern
from fabula.corpus.boilerplate import detect, gutenberg
from fabula.corpus.boilerplate.rules import RULE_LIST
from fabula.errors import FabulaError, did_you_mean
from fabula.story import Span

RULE_SETS: dict[str, str] = {
    "reddit": "stories of r/WritingPrompts and the like: edits, promotions, thanks, part links, author's notes",
    "web": "stories from other web pages: author's notes, thanks, promotions, what a page puts around a story",
    "gutenberg": "texts of Project Gutenberg: licence, credits, transcriber's notes, marks of pictures and pages",
    "gutenberg-headings": "as gutenberg, and the headings of chapters",
    "notebook": "the one pattern of the notebook baseline, for comparison: a match takes all after the first paragraph",
    "none": "nothing is taken out",
}

RULES: dict[str, str] = {rule.name: rule.doc for rule in RULE_LIST} | gutenberg.RULES | pattern.RULES

_REDDIT = re.compile(
    r"(?<![\w.])/?r/\w|reddit|\bEDIT\b|\bEdit ?\d?:|upvot|\[WP\]|writing ?prompt|\bOP\b|\bgold\b",
    re.IGNORECASE,
)
MAX_LOOKED_AT = 2000  # stories


def find_boilerplate(text: str, rule_set: str = "reddit", keep: Collection[str] = ()) -> list[Span]:
    """The spans of `text` that are not story, sorted and without overlap.

    Takes time linear in the length of the text; only the ends of a story are looked at closely.

    Args:
        text: a story; one or more newlines between paragraphs.
        rule_set: one of `RULE_SETS`.
        keep: names of `RULES` whose spans are left in.

    Raises:
        FabulaError: no such rule set, or no such rule in `keep`.
    """
    for name in keep:
        if name not in RULES:
            raise FabulaError(f"no rule {name!r}", hint=did_you_mean(name, RULES))
    if rule_set == "none":
        return []
    if rule_set == "notebook":
        return [] if "notebook" in keep else pattern.find(text)
    if rule_set.startswith("gutenberg") and rule_set in RULE_SETS:
        return gutenberg.find(text, rule_set == "gutenberg-headings", keep)
    if rule_set in RULE_SETS:
        return detect.find(text, rule_set, keep)
    raise FabulaError(f"no rule set {rule_set!r}", hint=did_you_mean(rule_set, RULE_SETS))


def choose_rule_set(texts: Sequence[str]) -> tuple[str, str]:
    """The rule set that suits these stories, and one line that says why.

    Of more than `MAX_LOOKED_AT` stories, so many at equal distances are looked at.
    """
    texts = texts[:: max(1, -(-len(texts) // MAX_LOOKED_AT))]
    looked = f"of {len(texts)} stories looked at"
    books = sum("Project Gutenberg" in text or "Transcriber's Note" in text for text in texts)
    notes = [[text[span.start : span.end] for span in find_boilerplate(text, "reddit")] for text in texts]
    noted = sum(bool(found) for found in notes)
    reddit = sum(any(_REDDIT.search(note) for note in found) for found in notes)
    if books and books >= reddit:
        return "gutenberg", f"{books} {looked} name Project Gutenberg"
    if reddit and 4 * reddit >= noted:
        return "reddit", f"{noted} {looked} have notes of their authors, {reddit} in the words of Reddit"
    web = sum(bool(find_boilerplate(text, "web")) for text in texts)
    if web > 0.01 * len(texts):
        return "web", f"{web} {looked} have notes of their authors or parts of a web page, none of Reddit"
    return "none", f"{web or 'none'} {looked} {'have' if web != 1 else 'has'} a note"
