"""The stories that models are judged by: held-out ones, and their openings as prompts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fabula.corpus.store import Corpus
from fabula.errors import FabulaError
from fabula.story import Story

OPENING_WORDS = 12
"""Words of a held-out story that a model is given to continue."""

OPENING = re.compile(rf"\s*\S+(?:\s+\S+){{{OPENING_WORDS - 1}}}(?=\s)")

MAX_HUMAN_STORIES = 500
"""Held-out stories that are measured as writing, at most."""


def held_out_stories(corpus: Corpus, split: str, max_stories: int | None) -> list[Story]:
    """The stories of a split in the order of their ids, which is as good as random and does not change.

    Raises:
        FabulaError: the split has none.
    """
    stories = sorted(corpus.stories(split), key=lambda story: story.id)[:max_stories]
    if not stories:
        raise FabulaError(
            f"this corpus has no {split!r} stories",
            where=corpus.path,
            hint="a corpus of one story cannot be split",
        )
    return stories


@dataclass(frozen=True, slots=True)
class HumanStory:
    """A held-out story in the shape of a written one: `text` follows `opening` and is cut where a model would be.

    Attributes:
        ended: whether the story's own end is in `text`.
        story_prompt: what the story was written to, or "".
    """

    opening: str
    text: str
    ended: bool
    story_prompt: str = ""


def cut_stories(stories: Sequence[Story], tokenizer: Any, max_new_tokens: int) -> list[HumanStory]:
    """Cut each story `max_new_tokens` tokens after its opening of `OPENING_WORDS` words."""
    cut = []
    for story in stories:
        match = OPENING.match(story.text)
        opening = match.group() if match else ""
        rest = story.text[len(opening) :]
        offsets = tokenizer(rest, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
            "offset_mapping"
        ]
        ended = len(offsets) < max_new_tokens  # one more is the token that ends the story
        text = rest if ended else rest[: offsets[max_new_tokens - 1][1]]
        cut.append(HumanStory(opening, text, ended, story.prompt))
    return cut


def choose_prompts(stories: Sequence[HumanStory], num_samples: int) -> tuple[list[str], list[str]]:
    """What a model is given to write `num_samples` stories.

    Returns:
        Alternately an opening, a new one each time while there are any, and ""; and the prompt that each story is to be
        written to: that of the held-out story with the opening, or "" if it has none.
    """
    chosen = [story for story in stories if story.opening or story.story_prompt] or [HumanStory("", "", True)]
    given = [chosen[index // 2 % len(chosen)] for index in range(num_samples)]
    openings = ["" if index % 2 else story.opening for index, story in enumerate(given)]
    return openings, [story.story_prompt for story in given]
