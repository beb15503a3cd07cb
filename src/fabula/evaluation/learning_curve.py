"""Held-out bits per byte over the number of training stories: what twice as many stories would bring."""

from collections.abc import Sequence

import numpy as np

from fabula.evaluation.intervals import Bootstrap
from fabula.evaluation.likelihood import TextScores
from fabula.formatting import format_estimate, format_number, format_percent
from fabula.results import Estimate


def compare_scores(
    scores: Sequence[TextScores], num_stories: Sequence[int], clusters: Sequence[str]
) -> tuple[list[Estimate], list[Estimate], Estimate]:
    """Bits per byte of models that were trained on P parts of the stories; differences from the last one; and the bits
    per byte that twice as many stories would save. All intervals come from the same resamples.

    The extrapolation is a power law, bits = a * stories^-b (Hestness et al. 2017, arXiv 1712.00409), fitted by least
    squares to the logarithms.

    Args:
        scores: of the S held-out stories, for each of the P models.
        num_stories: [P] training stories of each model, ascending.
        clusters: [S] near-duplicates share a cluster.
    """
    columns = np.stack([*(each.nats for each in scores), scores[0].num_bytes], axis=1)
    bootstrap = Bootstrap(clusters, columns)
    x = np.log2(np.array(num_stories, dtype=float))
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()

    def bits(sums: np.ndarray, model: int) -> np.ndarray:
        return sums[..., model] / sums[..., -1] / np.log(2)

    def saved(sums: np.ndarray) -> np.ndarray:
        slope = sum(
            weight * np.log(bits(sums, model)) for model, weight in enumerate(weights)
        )  # of ln(bits) in each doubling
        return bits(sums, last) * (1 - np.exp(slope))

    last = len(scores) - 1
    return (
        [bootstrap.estimate(lambda sums, m=model: bits(sums, m)) for model in range(len(scores))],
        [bootstrap.estimate(lambda sums, m=model: bits(sums, m) - bits(sums, last)) for model in range(last)],
        bootstrap.estimate(saved),
    )


def is_noise(bits: Sequence[Estimate], doubling: Estimate) -> bool:
    """Whether a curve does not show that the number of stories matters: the interval of the extrapolation contains 0, or
    the curve does not go down from each point to the next."""
    if doubling.low is None or doubling.high is None or doubling.low <= 0 <= doubling.high:
        return True
    values = [each.value for each in bits]
    return doubling.value > 0 and sorted(values, reverse=True) != values


def conclude(
    bits: Sequence[Estimate], num_stories: Sequence[int], doubling: Estimate, num_epochs: float = 1.0
) -> str:
    """What a curve says about more stories.

    Args:
        num_epochs: passes over all stories that the training on all of them made.
    """
    if num_epochs < 0.99:
        return (
            f"This says nothing about more stories: the training on all of them read only {format_percent(num_epochs, 0)} of"
            " them. Give it more time (--max-minutes)."
        )
    fewest, most = format_number(num_stories[0]), format_number(num_stories[-1])
    if is_noise(bits, doubling):
        return (
            f"The differences are within the noise: models trained on {fewest} and on {most} stories predict held-out"
            " stories about equally well. Whether more stories would help cannot be said from this; more held-out stories"
            " or a longer training might show it."
        )
    if doubling.value < 0:
        return (
            f"More of these stories made it worse: {fewest} stories are better than {most}. See whether the stories"
            " differ in kind."
        )
    return (
        f"Twice as many stories would save about {format_estimate(doubling)} bits per byte, if the curve from {fewest}"
        f" to {most} stories goes on."
    )
