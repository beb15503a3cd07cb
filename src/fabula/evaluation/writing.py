"""Measures of a set of stories: repetition, variety, length and endings. They are the same for models and for people."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from fabula.corpus.words import loops, words_of
from fabula.evaluation.intervals import mean_estimate, share_estimate
from fabula.evaluation.known_words import KnownWords
from fabula.results import WritingMeasures

SENTENCE_END = ".!?…"
CLOSERS = "\"'”’»)]*_ \n"


def repeated_ngrams(words: Sequence[str], n: int = 4) -> float:
    """Share of the n-grams of `words` that are not their first occurrence; 0 where there are none."""
    ngrams = list(zip(*(words[i:] for i in range(n)), strict=False))
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def distinct(words: Sequence[str], n: int) -> float | None:
    """Different n-grams divided by all n-grams, or None if there are none."""
    ngrams = list(zip(*(words[i:] for i in range(n)), strict=False))
    return len(set(ngrams)) / len(ngrams) if ngrams else None


def compression_ratio(words: Sequence[str]) -> float | None:
    """How many times smaller DEFLATE makes the text; None where there is none."""
    data = " ".join(words).encode()
    return len(data) / len(zlib.compress(data, 9)) if data else None


def self_bleu(stories: Sequence[Sequence[str]], max_n: int = 4) -> float | None:
    """Mean BLEU of each story with all others as references (Zhu et al. 2018), or None under two of `max_n` words.

    As in Papineni et al. (2002): the geometric mean of clipped precisions of n-grams up to `max_n`, times the brevity
    penalty against the nearest length; one is added to the counts above unigrams (Lin and Och 2004). Linear in the text,
    since of all other stories only the largest count of an n-gram matters.
    """
    stories = [story for story in stories if len(story) >= max_n]
    if len(stories) < 2:
        return None
    logs = np.zeros(len(stories))
    for n in range(1, max_n + 1):
        counts = [Counter(zip(*(story[i:] for i in range(n)), strict=False)) for story in stories]
        most: dict[tuple[str, ...], list[int]] = {}
        for count in counts:
            for ngram, times in count.items():
                most[ngram] = sorted([*most.get(ngram, [0, 0]), times])[1:]
        extra = int(n > 1)
        for index, count in enumerate(counts):
            # The largest count of the other stories: the second largest of all where this story has the largest.
            clipped = sum(
                min(times, most[ngram][0] if times == most[ngram][1] else most[ngram][1])
                for ngram, times in count.items()
            )
            precision = (clipped + extra) / (count.total() + extra)
            logs[index] += np.log(precision) / max_n if precision else -np.inf
    lengths = np.array([len(story) for story in stories])
    away = np.abs(lengths[:, None] - lengths) + np.diag(np.full(len(lengths), 1 << 40))
    nearest = lengths[away.argmin(axis=1)]
    return float(np.mean(np.exp(logs + np.minimum(0, 1 - nearest / lengths))))


def zipf_slope(words: Sequence[str]) -> float | None:
    """Least-squares slope of log frequency over log rank; near -1 for people; None under two different words."""
    counts = sorted(Counter(word for word in words if word[0].isalnum()).values(), reverse=True)
    if len(counts) < 2:
        return None
    return float(np.polyfit(np.log(np.arange(1, len(counts) + 1)), np.log(counts), 1)[0])


def ends_a_sentence(text: str) -> bool:
    """Whether `text` stops at the end of a sentence, quotation marks and brackets aside."""
    return text.rstrip(CLOSERS).endswith(tuple(SENTENCE_END))


def set_measures(words: Sequence[str]) -> dict[str, float | None]:
    """The measures of a set as a whole, of all its words one after the other."""
    return {
        "distinct_2": distinct(words, 2),
        "distinct_3": distinct(words, 3),
        "compression_ratio": compression_ratio(words),
        "zipf_slope": zipf_slope(words),
    }


@dataclass(frozen=True, slots=True)
class StoryMeasures:
    """The measures of one story, and its words."""

    words: list[str]
    looping: bool
    repeated_4grams: float
    ended: bool
    num_words: int


def measure_story(text: str, ended: bool) -> StoryMeasures:
    """Measure one story; `ended` says whether its author ended it (and was not cut off)."""
    words = words_of(text)
    return StoryMeasures(
        words=words,
        looping=loops(words),
        repeated_4grams=repeated_ngrams(words),
        ended=ended and ends_a_sentence(text),
        num_words=len(text.split()),
    )


def pooled_words(stories: Sequence[StoryMeasures], num_words: int | None = None) -> list[str]:
    """The first `num_words` words of all stories, one after the other; all of them for None."""
    return list(chain.from_iterable(story.words for story in stories))[:num_words]


def cut_words(stories: Sequence[StoryMeasures], num_words: int | None) -> list[list[str]]:
    """The words of each story, as far as the first `num_words` of all stories reach; all of them for None."""
    ends = np.cumsum([len(story.words) for story in stories])
    left = [len(story.words) if num_words is None else num_words - int(end) + len(story.words)
            for story, end in zip(stories, ends, strict=True)]  # fmt: skip
    return [story.words[:room] for story, room in zip(stories, left, strict=True) if room > 0]


def measure_writing(
    stories: Sequence[StoryMeasures], known: KnownWords, *, num_words: int | None = None
) -> WritingMeasures:
    """Measure a set of at least one story; as a whole at the size of `num_words` words, or of all for None.

    Args:
        known: words of the training stories.
    """
    pooled = pooled_words(stories, num_words)
    return WritingMeasures(
        num_stories=len(stories),
        looping_share=share_estimate([story.looping for story in stories]),
        repeated_4grams=mean_estimate([story.repeated_4grams for story in stories]),
        ended_share=share_estimate([story.ended for story in stories]),
        mean_words=mean_estimate([float(story.num_words) for story in stories]),
        num_words=len(pooled),
        **set_measures(pooled),
        self_bleu=self_bleu(cut_words(stories, num_words)),
        new_words=known.new_share(pooled),
        non_words=known.non_word_share(pooled),
    )
