"""The stages that treat each story alone: repair, removal of notes, filters, and the signature for the search for
copies.

They are pure functions of a batch of stories, so that this process, a pool of processes and a cluster all call the same
ones.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from pydantic import Field

from fabula.corpus import dedup
from fabula.corpus.boilerplate import examine
from fabula.corpus.filters import reason_to_drop
from fabula.corpus.formats.base import ReaderRemoval, ReadingLog
from fabula.corpus.ledger import Decided, Removal, apply, decide
from fabula.corpus.lines import FileRange
from fabula.corpus.normalise import normalise
from fabula.corpus.options import CleaningOptions
from fabula.corpus.own_rules import OwnRule, find_own
from fabula.corpus.read import StorySource
from fabula.story import Story


class Cleaning(CleaningOptions):
    """The resolved options: `rules` is the name of a rule set."""

    own: dict[str, OwnRule] = Field(default_factory=dict)
    """The user's own rules."""


DELETED = ("[removed]", "[deleted]")
"""What Reddit's dumps have in place of a deleted text: such a story is dropped as "deleted"."""


@dataclass(slots=True)
class ReadStories:
    """Stories that were read already, their size in characters, and what was left out before and between them."""

    stories: list[Story] = field(default_factory=list)
    size: int = 0
    left_out: list[ReaderRemoval] = field(default_factory=list)


@dataclass(slots=True)
class CleanedStory:
    """A story without its boilerplate, and its number of words.

    Attributes:
        reason: why a filter drops it, or "".
        doubts: what may be a note and stays, in the form of a removal.
    """

    story: Story
    num_words: int
    removals: list[Removal]
    repairs: dict[str, int]
    reason: str
    doubts: list[Removal] = field(default_factory=list)


@dataclass(slots=True)
class CleanedStories:
    """Cleaned stories in order.

    Attributes:
        keys, bands: from `dedup.signatures`; empty if near-duplicates are not searched for.
        num_lines: number of lines of the range of input that they were read from.
        left_out: what was left out of it while reading.
    """

    stories: list[CleanedStory]
    keys: np.ndarray
    bands: np.ndarray
    num_lines: int = 0
    left_out: list[ReaderRemoval] = field(default_factory=list)


def clean_story(story: Story, cleaning: Cleaning, decided: Iterable[Decided] = ()) -> CleanedStory:
    """Clean one raw story. Spans and removals count characters of the repaired text."""
    if story.text.strip() in DELETED:
        return CleanedStory(story, 0, [], {}, "deleted")
    text, repairs = normalise(story.text, cleaning.markdown) if cleaning.repair else (story.text, Counter())
    spans, doubtful = examine(text, cleaning.rules, cleaning.keep)
    if cleaning.own:
        spans = [*spans, *find_own(text, cleaning.own)]
    if decided:
        spans = decide(spans, decided, len(text))
        doubtful = [
            one for one in doubtful if not any(one.start < d.end and d.start < one.end for d in decided)
        ]
    doubts = [
        Removal(one.start, one.end, one.rule, one.confidence, text[one.start : one.end]) for one in doubtful
    ]
    text, removals = apply(text, spans)
    story = replace(story, text=text)
    reason = reason_to_drop(story, cleaning.filters)
    return CleanedStory(story, story.num_words, removals, dict(repairs), reason, doubts)


def clean_stories(
    stories: Iterable[Story], cleaning: Cleaning, decisions: Mapping[str, list[Decided]]
) -> CleanedStories:
    """Clean a batch of raw stories."""
    cleaned = [clean_story(story, cleaning, decisions.get(story.id, ())) for story in stories]
    texts = [] if cleaning.copies == "ignore" else [one.story.text for one in cleaned]
    keys, bands = dedup.signatures(texts)
    return CleanedStories(cleaned, keys, bands)


def clean_range(
    source: StorySource,
    task: FileRange | ReadStories,
    cleaning: Cleaning,
    decisions: Mapping[str, list[Decided]],
) -> CleanedStories:
    """Read and clean a range of the source, or clean stories that were read already."""
    if isinstance(task, ReadStories):
        cleaned = clean_stories(task.stories, cleaning, decisions)
        cleaned.left_out = task.left_out
        return cleaned
    log = ReadingLog()
    cleaned = clean_stories(source.read(task, log), cleaning, decisions)
    cleaned.num_lines, cleaned.left_out = log.num_lines, log.removals
    return cleaned
