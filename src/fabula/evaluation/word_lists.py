"""Lists of the words of a language, by which a word that no training story has is told from one that is no word.

simplemma's (MIT licence) have 54 languages. Of the words that O. Henry's held-out stories have and his other stories have not,
they know two thirds, and a third of SmolLM2's at temperature 1; the whole words of that model's own tokenizer are a quarter and two
fifths (docs/benchmarks.md).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

LANGUAGES = {
    "LATIN": (
        "en",
        "es",
        "fr",
        "de",
        "pt",
        "it",
        "nl",
        "sv",
        "nb",
        "da",
        "ca",
        "ro",
        "id",
        "tr",
        "cs",
        "sk",
        "hu",
        "pl",
        "fi",
    ),
    "CYRILLIC": ("ru", "uk", "bg", "mk"),
    "GREEK": ("el",),
    "ARABIC": ("ar", "fa"),
    "HEBREW": ("he",),
    "DEVANAGARI": ("hi",),
    "ARMENIAN": ("hy",),
    "GEORGIAN": ("ka",),
}
"""The languages that are tried for each script, in this order: a list loads in up to 4 seconds."""

SMALLEST_SHARE = 0.8
"""A language is that of a text if its list knows this share of the text's words; the others are names and rare words."""

NUM_WORDS = 2000
"""Words of a text by which its language is found."""

ENDING = re.compile(r"['’]\w{0,2}\Z")


def language_of(words: Iterable[str]) -> str | None:
    """The language of a text, of those with a list; None where none knows enough of its words.

    Args:
        words: as `words_of` gives them, of which the most frequent are looked up.
    """
    found = [word for word in words if word.isalpha()]
    if not found:
        return None
    scripts = Counter(unicodedata.name(word[0], "").partition(" ")[0] for word in found)
    looked_up = Counter(found).most_common(NUM_WORDS)
    total = sum(count for _, count in looked_up)
    for language in LANGUAGES.get(scripts.most_common(1)[0][0], ()):
        if sum(count for word, count in looked_up if is_word(word, language)) >= SMALLEST_SHARE * total:
            return language
    return None


def is_word(word: str, language: str) -> bool:
    """Whether the list of a language has a word, in lower case, or what it is without "'s" and the like; numbers and marks
    are no mistakes either."""
    from simplemma import is_known

    stem = ENDING.sub("", word)
    return not stem.isalpha() or any(
        is_known(each, language) for each in (word, stem, word.capitalize(), word.replace("’", "'"))
    )
