"""Chooses the stories that are held out. The choice depends only on each cluster's content, so it stays when stories
are added."""

from collections.abc import Sequence

import numpy as np
import xxhash

from fabula.errors import FabulaError

NAMES = ("train", "validation", "test")


def parse_ratios(text: str) -> tuple[float, ...]:
    """ "90/10" (train/validation) or "80/10/10" (train/validation/test) as shares that add up to 1; "100" holds out
    nothing.

    Raises:
        FabulaError: the text is not such numbers.
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
            f"{text!r} is not a split",
            where="--split",
            hint="write train/validation, for example 90/10, or 80/10/10 with a test part",
        )
    return tuple(share / sum(shares) for share in shares)


def position(cluster: str) -> float:
    """Position of a cluster between 0 and 1: a hash of its id, which is a hash of its text."""
    return xxhash.xxh3_64_intdigest(cluster.encode(), seed=1) / 2**64


def assign(positions: np.ndarray, ratios: Sequence[float], given: np.ndarray) -> np.ndarray:
    """The split of each cluster, as its number in `NAMES`, by its position: the last intervals up to 1 are held out.

    If a wanted split is empty by chance, it gets the cluster nearest to its interval, unless that leaves another one
        empty: of two stories, one is held out.

    Args:
        positions: [num_clusters] from `position`.
        ratios: of `parse_ratios`.
        given: [num_clusters] the split that the input gives, which is kept, or -1.
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


def hold_out_ends(books: np.ndarray, lengths: np.ndarray, ratios: Sequence[float]) -> np.ndarray:
    """The split of each part of a book, as its number in `NAMES`: whole parts at the end of the book are held out.

    As many parts of each book are held out as come nearest to the wanted share; at least one if there is only one book.

    Args:
        books: [num_stories] the book that each story is a part of, or -1; the parts of a book in order.
        lengths: [num_stories] bytes of each.
        ratios: of `parse_ratios`.

    Returns:
        [num_stories] the splits; -1 for stories that are in no book, and for all if no book has a part to hold out.
    """
    splits = np.full(len(books), -1, np.int8)
    numbers = np.unique(books[books >= 0])
    is_only = len(numbers) == 1 and bool((books >= 0).all())
    borders = np.cumsum(ratios)
    for book in numbers:
        parts = np.flatnonzero(books == book)
        ends = np.cumsum(lengths[parts]) / max(lengths[parts].sum(), 1)
        middles = ends - lengths[parts] / max(lengths[parts].sum(), 1) / 2
        own = np.minimum(np.searchsorted(borders, middles, side="right"), len(ratios) - 1).astype(np.int8)
        if is_only and len(ratios) > 1 and len(parts) > 1 and not own.any():
            own[-1] = 1
        splits[parts] = own
    return splits if (splits > 0).any() or len(ratios) == 1 else np.full(len(books), -1, np.int8)
