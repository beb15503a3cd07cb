"""How well a model predicts held-out stories, as figures that no tokenizer can change, with intervals."""

from collections.abc import Sequence

import numpy as np

from fabula.config import Record
from fabula.evaluation.intervals import Bootstrap, Estimate
from fabula.models.scoring import TextScores

NATS, TOKENS, BYTES, WORDS = range(4)
NUM_COLUMNS = 4


class Likelihood(Record):
    """One model on the held-out stories: sums over all of them, never means of batches."""

    bits_per_byte: Estimate
    perplexity_per_token: Estimate
    perplexity_per_word: Estimate
    """A word is what stands between white space."""
    num_tokens: int
    num_bytes: int
    bits_per_byte_difference: Estimate | None
    """This model less the first one, on the same resamples; None for the first one itself."""


def summarise_scores(
    scores: Sequence[TextScores], num_words: Sequence[int], clusters: Sequence[str]
) -> list[Likelihood]:
    """The figures of several models on the same S stories.

    Args:
        scores: for each model, the scores of the S stories.
        num_words: [S] words of each story.
        clusters: [S] near-duplicates share a cluster; whole clusters are resampled.
    """
    columns = np.concatenate(
        [
            np.stack([each.nats, each.num_tokens, each.num_bytes, np.array(num_words)], axis=1)
            for each in scores
        ],
        axis=1,
    )
    bootstrap = Bootstrap(clusters, columns)

    def ratio(sums: np.ndarray, model: int, below: int) -> np.ndarray:
        return sums[..., model * NUM_COLUMNS + NATS] / sums[..., model * NUM_COLUMNS + below]

    def bits_per_byte(sums: np.ndarray, model: int) -> np.ndarray:
        return ratio(sums, model, BYTES) / np.log(2)

    return [
        Likelihood(
            bits_per_byte=bootstrap.estimate(lambda sums, m=model: bits_per_byte(sums, m)),
            perplexity_per_token=bootstrap.estimate(lambda sums, m=model: np.exp(ratio(sums, m, TOKENS))),
            perplexity_per_word=bootstrap.estimate(lambda sums, m=model: np.exp(ratio(sums, m, WORDS))),
            num_tokens=int(each.num_tokens.sum()),
            num_bytes=int(each.num_bytes.sum()),
            bits_per_byte_difference=bootstrap.estimate(
                lambda sums, m=model: bits_per_byte(sums, m) - bits_per_byte(sums, 0)
            )
            if model
            else None,
        )
        for model, each in enumerate(scores)
    ]
