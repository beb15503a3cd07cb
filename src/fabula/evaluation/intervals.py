"""Uncertainty: bootstrap intervals over clusters of near-duplicate stories."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from fabula.results import Estimate

NUM_RESAMPLES = 1000


class Bootstrap:
    """Resamples of the same stories, shared by all figures, so that differences between models are paired.

    Whole clusters are drawn with replacement, because near-copies are no independent evidence (the cluster bootstrap
    of arXiv 2411.00640, with percentile intervals).

    Args:
        clusters: for each of S stories the name of its cluster.
        columns: [S, K] what is summed over stories: nats, bytes, ...
        seed: of the draws.
    """

    def __init__(self, clusters: Sequence[str], columns: np.ndarray, *, seed: int = 0) -> None:
        names, which = np.unique(np.array(clusters, dtype=object).astype(str), return_inverse=True)
        self.num_clusters = len(names)
        self.total = columns.sum(axis=0)
        """[K] sums over all stories."""
        self.resampled = np.empty((0, columns.shape[1]))
        """[R, K] sums over each resample."""
        if self.num_clusters > 1:
            by_cluster = np.zeros((self.num_clusters, columns.shape[1]))
            np.add.at(by_cluster, which, columns)
            draw = np.random.default_rng(seed)
            self.resampled = np.stack(
                [
                    np.bincount(
                        draw.integers(self.num_clusters, size=self.num_clusters), minlength=self.num_clusters
                    )
                    @ by_cluster
                    for _ in range(NUM_RESAMPLES)
                ]
            )

    def estimate(self, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        """`statistic` maps sums [..., K] to figures [...]."""
        value = float(statistic(self.total))
        if not len(self.resampled):
            return Estimate(value=value)
        low, high = np.quantile(statistic(self.resampled), [0.025, 0.975])
        return Estimate(value=value, low=float(low), high=float(high))


def mean_estimate(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """The mean of independent `values`, with its interval."""
    columns = np.array([[value, 1.0] for value in values])
    return Bootstrap([str(row) for row in range(len(values))], columns, seed=seed).estimate(
        lambda sums: sums[..., 0] / sums[..., 1]
    )


def share_estimate(cases: Sequence[bool]) -> Estimate:
    """The share of independent cases that are true, with Wilson's score interval, which stays honest near 0 and 1.

    E. B. Wilson, Journal of the American Statistical Association 22 (1927).
    """
    n, share, z = len(cases), sum(cases) / len(cases), 1.96
    if n < 2:
        return Estimate(value=share)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(value=share, low=max(0.0, centre - reach), high=min(1.0, centre + reach))
