"""Which stories are held out. A function of each cluster's content alone, so that it stays when stories are added."""

from collections.abc import Sequence

import numpy as np
import xxhash

from fabula.errors import FabulaError

NAMES = ("train", "validation", "test")


def parse_ratios(text: str) -> tuple[float, ...]:
    """ "90/10" (train/validation) or "80/10/10" (train/validation/test) as shares that add up to 1; "100" holds
    nothing out.

    Raises:
        FabulaError: these are no such numbers.
    """
    try:
        shares = [float(part) for part in text.split("/")]
    except ValueError:
        shares = []
    if (
        not 1 <= len(shares) <= len(NAMES)
        or min(shares) < 0
        or not 0 < shares[0] <= sum(shares) < float("inf")
    ):
        raise FabulaError(
            f"{text!r} is no split",
            where="--split",
            hint="write train/validation, for example 90/10, or 80/10/10 with a test part",
        )
    return tuple(share / sum(shares) for share in shares)


def position(cluster: str) -> float:
    """Where a cluster stands between 0 and 1: a hash of its id, which is a hash of its text."""
    return xxhash.xxh3_64_intdigest(cluster.encode(), seed=1) / 2**64


def assign(positions: np.ndarray, ratios: Sequence[float], given: np.ndarray) -> np.ndarray:
    """The split of each cluster, as its number in `NAMES`: by its position, the last stretches up to 1 being held out.

    Where chance leaves a wanted split empty, the cluster nearest to its stretch goes there, unless that leaves
    another one empty: two stories are enough for one of validation.

    Args:
        positions: [num_clusters] of `position`.
        ratios: of `parse_ratios`.
        given: [num_clusters] the split that the input puts it in, which stands, or -1.
    """
    borders = np.cumsum([0.0, *ratios])
    splits = np.searchsorted(borders[1:-1], positions, side="right").astype(np.int8)
    splits[given >= 0] = given[given >= 0]
    for number in range(len(ratios)):
        if ratios[number] == 0 or (splits == number).any():
            continue
        counts = np.bincount(splits, minlength=len(NAMES))
        spare = np.flatnonzero((counts[splits] > 1) & (given < 0))
        if len(spare):
            away = np.abs(positions[spare] - (borders[number] + borders[number + 1]) / 2)
            splits[spare[np.lexsort((positions[spare], away))[0]]] = number
    return splits
