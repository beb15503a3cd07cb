"""Figures of people's stories, their variation by chance, and the distance of a model's stories from them."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from fabula.evaluation.known_words import KnownWords
from fabula.evaluation.writing import StoryMeasures, pooled_words, set_measures
from fabula.generation.settings import SamplingSettings
from fabula.results import Candidate, TuningFigures

ONE_SIDED = frozenset({"non_words", "unknown_words", "unknown_pairs", "perplexity_gap"})
"""Figures of nonsense: more than people's is a fault, less is none. (Other figures count what is said too often.) If less
were a fault too, temperature 1 would always win: what a model draws from its own distribution is as surprising to it as
people's stories are, while the unlikely words of a small model are mistakes."""

COHERENCE = "coherence"
"""Less of it than people's is a fault; more is none, since what repeats itself is found by the other figures."""

MAX_NON_WORDS = 1.2
"""Non-words that stories with chosen settings may have, against people's."""

NUM_SUBSETS = 40
LARGEST_DEVIATION = 10.0
SMALLEST_SCALE = 0.05
FINEST_SCALE = 0.005
"""A standard deviation of people's stories is taken to be at least `SMALLEST_SCALE` of the figure itself and at least
`FINEST_SCALE`, since a few stories can agree by chance."""


class PeoplesStories:
    """People's stories, as what a model's are compared with.

    Args:
        stories: S of them.
        bits: [S, 4] bits under the model and bytes, of each; and the same of its second half, where the bits are those
            that the first half spares.
        num_stories: in the sets that are compared with people's.
        known: words of the training stories.
    """

    def __init__(
        self, stories: Sequence[StoryMeasures], bits: np.ndarray, num_stories: int, known: KnownWords
    ) -> None:
        self.stories, self.bits, self.known = stories, bits, known
        self.bits_per_byte = float(bits[:, 0].sum() / bits[:, 1].sum())
        generator = np.random.default_rng(0)
        size = min(num_stories, max(2, len(stories) // 2))
        self.subsets = [generator.permutation(len(stories))[:size] for _ in range(NUM_SUBSETS)]
        self.num_words = min(len(pooled_words([stories[i] for i in subset])) for subset in self.subsets)
        """Words in the smallest of these sets."""
        self.spread = math.sqrt(size / num_stories)
        """Sets of n stories differ by chance as 1 / sqrt(n)."""

    def figures(
        self, stories: Sequence[StoryMeasures], bits: np.ndarray, num_words: int | None
    ) -> TuningFigures:
        """The figures of a set of S stories with [S, 4] bits and bytes; measured as a whole at `num_words` words."""
        num_bytes, num_later_bytes = bits[:, 1].sum(), bits[:, 3].sum()
        pooled = pooled_words(stories, num_words)
        known_pairs = [
            pair
            for story in stories
            for pair in pairwise(story.words)
            if pair[0] in self.known.words and pair[1] in self.known.words
        ]
        return TuningFigures(
            looping_share=float(np.mean([story.looping for story in stories])),
            repeated_4grams=float(np.mean([story.repeated_4grams for story in stories])),
            ended_share=float(np.mean([story.ended for story in stories])),
            mean_words=float(np.mean([story.num_words for story in stories])),
            **set_measures(pooled),
            non_words=self.known.non_word_share(pooled),
            unknown_words=self.known.new_share(pooled),
            unknown_pairs=share(pair not in self.known.pairs for pair in known_pairs),
            perplexity_gap=float(bits[:, 0].sum() / num_bytes - self.bits_per_byte) if num_bytes else None,
            coherence=float(bits[:, 2].sum() / num_later_bytes) if num_later_bytes else None,
        )

    def mean_and_scale(self, num_words: int | None) -> tuple[TuningFigures, dict[str, float]]:
        """Means and standard deviations of people's figures, over sets that are measured at `num_words` words."""
        rows = [
            dict(self.figures([self.stories[i] for i in subset], self.bits[subset], num_words))
            for subset in self.subsets
        ]
        means: dict[str, float | None] = {}
        scales: dict[str, float] = {}
        for name in TuningFigures.model_fields:
            values = [row[name] for row in rows if row[name] is not None]
            means[name] = float(np.mean(values)) if values else None
            scale = float(np.std(values)) * self.spread if values else 0.0
            scales[name] = max(scale, SMALLEST_SCALE * abs(means[name] or 0.0), FINEST_SCALE)
        for name in ("looping_share", "ended_share"):
            # A share of 0 among these few stories is no certainty: Laplace's rule of succession.
            likely = (float(means[name] or 0.0) * len(self.stories) + 1) / (len(self.stories) + 2)
            scales[name] = max(
                scales[name], math.sqrt(likely * (1 - likely) / len(self.subsets[0])) * self.spread
            )
        return TuningFigures.parse(means), scales

    def most_non_words(self) -> float | None:
        """The largest share of non-words that a set of stories may have: `MAX_NON_WORDS` times people's, and one standard
        error of a count of so many words (Poisson's), which is at least 1, since one word may be chance. None if the language
        has no list of words."""
        of_people = self.mean_and_scale(None)[0].non_words
        if of_people is None:
            return None
        expected = max(MAX_NON_WORDS * of_people * self.num_words, 1.0)
        return (expected + math.sqrt(expected)) / max(1, self.num_words)

    def judge(
        self,
        sampler: str,
        settings: SamplingSettings,
        stories: Sequence[StoryMeasures],
        bits: np.ndarray,
        copied_share: float,
    ) -> Candidate:
        """Compare the stories that a model wrote with people's, at the same number of words."""
        num_words = min(len(pooled_words(stories)), self.num_words)
        found = self.figures(stories, bits, num_words)
        means, scales = self.mean_and_scale(num_words)
        deviations = {}
        for (name, value), (_, mean) in zip(found, means, strict=True):
            if mean is None:  # it says nothing in this language
                continue
            away = LARGEST_DEVIATION if value is None else (value - mean) / scales[name]
            least = 0.0 if name in ONE_SIDED else -LARGEST_DEVIATION
            most = 0.0 if name == COHERENCE and value is not None else LARGEST_DEVIATION
            deviations[name] = max(least, min(away, most))
        return Candidate(
            sampler=sampler,
            settings=settings,
            figures=found,
            deviations=deviations,
            distance=math.sqrt(sum(each**2 for each in deviations.values()) / len(deviations)),
            copied_share=copied_share,
        )


def share(found: Iterable[bool]) -> float | None:
    """The share that is true; None where there are none."""
    values = list(found)
    return float(np.mean(values)) if values else None
