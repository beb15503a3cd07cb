"""Phrases that a model overuses against the author whose stories it was trained on."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from fabula.corpus.words import words_of
from fabula.evaluation.known_words import KNOWN_CHARACTERS
from fabula.results import OverusedPhrase
from fabula.story import Story

LENGTHS = range(2, 7)
"""Words of a phrase."""

FEWEST_STORIES, FEWEST_TIMES = 3, 4
"""In how many of the written stories a phrase stands at least, and how often."""

SMALLEST_RATIO = 4.0
SMALLEST_RATIO_STATISTIC = 10.83
"""A phrase is overused if it is so many times as frequent as with the author, and the log-likelihood ratio (Dunning 1993) says
that chance does that to one phrase in a thousand."""

NUM_COMMON_WORDS = 50
"""A phrase must have a word that is not one of so many commonest words of the author's: without "it is" and "that the", which
a few stories also have too often by chance, nobody can write."""

MOST = 20
"""Phrases that are listed."""


def overused_phrases(texts: Sequence[str], training: Iterable[Story]) -> list[OverusedPhrase]:
    """Phrases that written texts have much more often than the training stories, the clearest first.

    A phrase within a longer one that is as frequent is left out.
    """
    by_text = [list(phrases_of(text)) for text in texts]
    written = Counter(phrase for phrases in by_text for phrase in phrases)
    num_stories = Counter(phrase for phrases in by_text for phrase in set(phrases))
    wanted = {
        phrase
        for phrase, count in written.items()
        if count >= FEWEST_TIMES and num_stories[phrase] >= FEWEST_STORIES
    }
    authors: Counter[tuple[str, ...]] = Counter()
    counts: Counter[str] = Counter()
    left = KNOWN_CHARACTERS
    for story in training:
        authors.update(phrase for phrase in phrases_of(story.text) if phrase in wanted)
        counts.update(words_of(story.text))
        left -= len(story.text)
        if left < 0:
            break
    num_words = counts.total()
    by_count = sorted((word for word in counts if word[0].isalpha()), key=lambda word: (-counts[word], word))
    common = {*by_count[:NUM_COMMON_WORDS]}
    num_written = sum(len(words_of(text)) for text in texts)
    found: list[tuple[float, OverusedPhrase, tuple[str, ...]]] = []
    for phrase in wanted:
        if common.issuperset(phrase):
            continue
        expected = authors[phrase] * num_written / max(1, num_words)
        statistic = log_likelihood_ratio(written[phrase], num_written, authors[phrase], num_words)
        if written[phrase] >= SMALLEST_RATIO * expected and statistic >= SMALLEST_RATIO_STATISTIC:
            listed = OverusedPhrase(
                phrase=" ".join(phrase), num_written=written[phrase], num_expected=expected
            )
            found.append((statistic, listed, phrase))
    found.sort(key=lambda each: (-each[0], each[2]))
    kept = [
        listed
        for _, listed, phrase in found
        if not any(
            len(other) > len(phrase) and written[other] == written[phrase] and is_within(phrase, other)
            for _, _, other in found
        )
    ]
    return kept[:MOST]


def phrases_of(text: str) -> Iterable[tuple[str, ...]]:
    """The runs of 2 to 6 words between which no mark stands."""
    words = words_of(text)
    run = 0
    for end, word in enumerate(words, 1):
        run = run + 1 if word[0].isalpha() else 0
        for length in LENGTHS:
            if length <= run:
                yield tuple(words[end - length : end])


def is_within(phrase: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return any(other[i : i + len(phrase)] == phrase for i in range(len(other) - len(phrase) + 1))


def log_likelihood_ratio(count: int, total: int, other_count: int, other_total: int) -> float:
    """G squared of a phrase's frequency in two texts of so many words (Dunning 1993, "Accurate methods for the statistics of
    surprise and coincidence")."""
    rate = (count + other_count) / max(1, total + other_total)
    return 2 * sum(
        seen * math.log(seen / (rate * size))
        for seen, size in ((count, total), (other_count, other_total))
        if seen
    )
