"""Reasons not to keep a story. All are off by default, but that a story must not be empty."""

import re
from collections import Counter
from typing import Annotated

from pydantic import Field

from fabula.config import Record
from fabula.install import missing_extra
from fabula.story import Story

_WORD = re.compile(r"\w+")


class Filters(Record):
    """What a story must be to be kept. None: anything goes."""

    min_words: Annotated[int | None, Field(ge=1, description="Fewest words.")] = None
    max_words: Annotated[int | None, Field(ge=1, description="Most words.")] = None
    min_letters: Annotated[
        float | None,
        Field(ge=0, le=1, description="Least share of letters among characters that are no spaces."),
    ] = None
    max_repetition: Annotated[
        float | None,
        Field(
            ge=0, le=1, description="Largest share of word 5-grams that were there before in the same story."
        ),
    ] = None
    language: Annotated[
        str | None, Field(pattern="^[a-z]{2}$", description="ISO 639-1 code of the one language to keep.")
    ] = None

    def reason(self, story: Story) -> str | None:
        """Why the story is dropped ("empty", "min_words", ...: the field's name), or None to keep it."""
        text = story.text
        if not text.strip():
            return "empty"
        if self.min_words is not None and story.num_words < self.min_words:
            return "min_words"
        if self.max_words is not None and story.num_words > self.max_words:
            return "max_words"
        if self.min_letters is not None and letters_ratio(text) < self.min_letters:
            return "min_letters"
        if self.max_repetition is not None and repetition(text) > self.max_repetition:
            return "max_repetition"
        if self.language is not None and language_of(text) != self.language:
            return "language"
        return None


def letters_ratio(text: str) -> float:
    """Share of letters among the characters that are not white space, 0 to 1."""
    visible = sum(not character.isspace() for character in text)
    return sum(character.isalpha() for character in text) / visible if visible else 0.0


def repetition(text: str) -> float:
    """Share of a text's word 5-grams that stood in it before, 0 to 1; 0 for fewer than six words."""
    words = _WORD.findall(text.lower())
    grams = Counter(zip(*(words[start:] for start in range(5)), strict=False))
    total = sum(grams.values())
    return 1 - len(grams) / total if total > 1 else 0.0


def language_of(text: str) -> str:
    """ISO 639-1 code of the likeliest language of the first 20,000 characters.

    Raises:
        FabulaError: py3langid is not installed.
    """
    try:
        import py3langid
    except ImportError:
        raise missing_extra(
            "the filter by language needs py3langid", "languages", where="--language"
        ) from None
    return py3langid.classify(text[:20_000])[0]
