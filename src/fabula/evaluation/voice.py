"""Whether a model has an author's voice: how much more of the author's stories it predicts than of other people's.

Training lowers the bits per byte of many texts, because the model gets used to stories as such. Its gain over the base
model on the author's held-out stories less that on other authors' is what it learned of this author alone. As each text
is compared with itself under the base model, easy texts do not count as the author's; a text is attributed by likelihood
as with a language model for each author (arXiv 2510.21958).
"""

from collections.abc import Sequence

import numpy as np

from fabula.evaluation.intervals import NUM_RESAMPLES
from fabula.evaluation.likelihood import TextScores
from fabula.results import Estimate, Voice


def measure_voice(
    base: tuple[TextScores, TextScores],
    tuned: tuple[TextScores, TextScores],
    clusters: tuple[Sequence[str], Sequence[str]],
    *,
    seed: int = 0,
) -> Voice:
    """Compare the gain on the author's passages with the gain on other authors' passages.

    Args:
        base, tuned: scores of A passages by the author and of O by others, under either model.
        clusters: [A] of near-duplicates, and [O] of the same author: what is resampled as a whole for the intervals.
        seed: of the resamples.
    """
    draw = np.random.default_rng(seed)
    gains, sizes, weights = [], [], []
    for before, after, names in zip(base, tuned, clusters, strict=True):
        gains.append((before.nats - after.nats) / np.log(2))
        sizes.append(after.num_bytes)
        weights.append(resample(names, draw))
    per_byte = [gain / np.maximum(size, 1) for gain, size in zip(gains, sizes, strict=True)]
    is_nearer = (per_byte[0][:, None] > per_byte[1]) + 0.5 * (per_byte[0][:, None] == per_byte[1])
    means = [
        (weight @ gain) / (weight @ size) for weight, gain, size in zip(weights, gains, sizes, strict=True)
    ]
    told = np.einsum("ra,ao,ro->r", weights[0], is_nearer, weights[1])
    return Voice(
        num_passages=len(gains[0]),
        num_others=len(gains[1]),
        gain=estimate(means[0]),
        gain_on_others=estimate(means[1]),
        difference=estimate(means[0] - means[1]),
        told_apart=estimate(told / (weights[0].sum(axis=1) * weights[1].sum(axis=1))),
    )


def resample(names: Sequence[str], draw: np.random.Generator) -> np.ndarray:
    """[1 + R, N] how often each of N passages counts: once, and in R resamples of whole clusters. No resamples of a
    single cluster."""
    clusters, which = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
    size = len(clusters)
    once = np.ones((1, len(names)))
    if size < 2:
        return (
            np.repeat(once, 1 + NUM_RESAMPLES, axis=0) * np.r_[1.0, np.full(NUM_RESAMPLES, np.nan)][:, None]
        )
    counts = draw.multinomial(size, np.full(size, 1 / size), size=NUM_RESAMPLES)
    return np.concatenate([once, counts[:, which]])


def estimate(figures: np.ndarray) -> Estimate:
    """[1 + R]: the figure itself, then that of each resample."""
    value = float(figures[0])
    if np.isnan(figures[1:]).any():
        return Estimate(value=value)
    low, high = np.quantile(figures[1:], [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high))
