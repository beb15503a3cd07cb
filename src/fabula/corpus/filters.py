"""Reasons to drop a story."""

import re
from collections import Counter

from fabula.corpus.options import Filters
from fabula.story import Story

_WORD = re.compile(r"\w+")


def reason_to_drop(story: Story, filters: Filters) -> str:
    """Why a story is dropped: "empty" or the name of the filter's field; "" for a story that is kept."""
    text = story.text
    if not text.strip():
        return "empty"
    if filters.min_words is not None and story.num_words < filters.min_words:
        return "min_words"
    if filters.max_words is not None and story.num_words > filters.max_words:
        return "max_words"
    if filters.min_letters is not None and letters_ratio(text) < filters.min_letters:
        return "min_letters"
    if filters.max_repetition is not None and repetition(text) > filters.max_repetition:
        return "max_repetition"
    if filters.language is not None and language_of(text) != filters.language:
        return "language"
    return ""


def letters_ratio(text: str) -> float:
    """Share of letters among the characters that are not white space, 0 to 1."""
    visible = sum(not character.isspace() for character in text)
    return sum(character.isalpha() for character in text) / visible if visible else 0.0


def repetition(text: str) -> float:
    """Share of a text's word 5-grams that occurred earlier in it, 0 to 1; 0 for fewer than six words."""
    words = _WORD.findall(text.lower())
    grams = Counter(zip(*(words[start:] for start in range(5)), strict=False))
    total = sum(grams.values())
    return 1 - len(grams) / total if total > 1 else 0.0


def language_of(text: str) -> str:
    """ISO 639-1 code of the likeliest language of the first 20,000 characters."""
    import py3langid

    return py3langid.classify(text[:20_000])[0]
