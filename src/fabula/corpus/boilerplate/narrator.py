"""Recognises an author by the word "I": in a story whose narrator never says it, an "I" outside speech is the author's.

Only first-person narrators say "I", "me" or "my" outside speech, in 3 % of their words or more.
"""

import math
import re
from collections.abc import Iterable, Sequence

from fabula.corpus.boilerplate.evidence import MAX_CHARS, ScoredParagraph
from fabula.corpus.boilerplate.paragraphs import fold

NARRATION_CHARS = 4000
"""Number of characters of the story that are searched beyond the scored paragraphs."""

NUM_WORDS = 50
"""With k times as many words of narration without an "I", the evidence is log(1 + k)."""

MIN_WORDS = 110
"""With fewer words of narration there is no evidence."""

MAX_SHARE = 0.02
"""If the narrator says "I" in this share of the words, the evidence is 0."""

MAX_FIRST_PERSON = 2.5
"""The greatest evidence (log-odds) of an "I" for a note."""

LEAST_SCORE, MOST_SCORE = -1.0, 9.0
"""Paragraphs with a lower or higher score are story or note in any case."""

POSTED = re.compile(
    r"^\W{0,4}edit ?\d?\W{0,3}:|\bi (?:don't|do not|rarely|hardly ever) (?:usually |normally |often |really )?post\b|\bi(?:'m| am) (?:typing|writing|posting) this|\b(?:i|i've) (?:never |last )?posted\b|\bmy (?:last|first) post\b|"
    r"\b(?:some|most|many|a lot|a few|those) of you\b|\bfor anyone who missed\b|\b(?:has|does) any(?:one|body) (?:else|know)\b|\bthis sub(?:reddit)?\b|"
    r"\b(?:my|this|the) account\b|\bthrowaway\b|\bautomod\b|\b(?:last|first|previous) (?:post|update)\b|\btook (?:me )?so long to update\b|\b(?:this|my) blog\b",
    re.IGNORECASE | re.MULTILINE,
)
"""What a narrator says who posts the story."""

IS_WRITTEN = re.compile(
    POSTED.pattern
    + r"|\bblog\b|\bposts?\b(?! office)|\bi (?:\w+(?:n't)? ){0,2}(?:am writing|write)\b|\b(?:writ(?:e|ing)|reading) (?:this|it down)\b|\breaders?\b",
    POSTED.flags,
)
"""What a narrator says who writes the story down, for a forum or for a person."""

_FIRST_PERSON = re.compile(r"\b(?:i|my|me)\b")


def raise_in_first_person(scored: Sequence[ScoredParagraph], beyond: str) -> None:
    """Raise the scores of paragraphs in the first person, if the narrator of the story never says "I".

    Args:
        scored: the scored paragraphs at one end of a story.
        beyond: the text of the story beyond them.
    """
    candidates = [
        one
        for one in scored
        if not one.paragraph.is_divider
        and LEAST_SCORE <= one.score <= MOST_SCORE
        and says_i(one.paragraph.raw)
    ]
    if not candidates:
        return
    story = [one.paragraph.raw for one in scored if not one.is_note and not one.paragraph.is_divider]
    num_words, num_first = _count([*beyond.split("\n"), *story])
    for one in candidates:
        own = _count([one.paragraph.raw]) if not one.is_note else (0, 0)
        words, first = num_words - own[0], num_first - own[1]
        if words < MIN_WORDS:
            continue
        certain = min(MAX_FIRST_PERSON, math.log1p(words / NUM_WORDS))
        one.score += certain * max(0.0, 1.0 - first / (MAX_SHARE * max(1, words)))


def is_in_first_person(story: str) -> bool:
    """Whether the narrator of a story says "I"."""
    num_words, num_first = _count(story.split("\n"))
    return num_first >= MAX_SHARE * max(1, num_words)


def says_i(paragraph: str) -> bool:
    """Whether a paragraph says "I", "me" or "my" outside speech."""
    return _count([paragraph])[1] > 0


def _count(paragraphs: Iterable[str]) -> tuple[int, int]:
    """The number of words outside speech, and how many of them are "I", "me" or "my"."""
    folded = [fold(raw[:MAX_CHARS]) for raw in paragraphs]
    return sum(text.count(" ") + 1 for text in folded if text), sum(
        len(_FIRST_PERSON.findall(text)) for text in folded
    )
