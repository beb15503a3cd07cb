"""The sampler: from logits to a token. Every engine uses it.

The filters, their order and their formulas are those of transformers (`transformers.generation`), so that settings
found with one tool work in the other:

1. repetition penalty r (Keskar et al. 2019, arXiv:1909.05858): for every token that the story already has, including
   the prompt, a logit l becomes l / r where l > 0, and l * r where l < 0;
2. temperature t: l / t;
3. top-k (Fan et al. 2018, arXiv:1805.04833): only the k largest logits are kept, and any equal to the smallest of these;
4. top-p (Holtzman et al. 2020, arXiv:1904.09751): the least likely tokens whose probabilities sum to at most 1 - p are
   removed;
5. min-p (Nguyen et al. 2024, arXiv:2407.01082): tokens below min_p times the largest probability are removed.

These are off by default:

- DRY (p-e-w 2024, text-generation-webui pull request 5677), after 1: if the last n tokens of the story occurred before,
  the logit of the token that followed them is reduced by `dry_multiplier * dry_base ** (n - dry_allowed_length)`, for the
  longest such n, if that is at least `dry_allowed_length`. Sequences end at tokens with a line end, a colon, a quote or
  an asterisk;
- top-n-sigma (Tang et al. 2024, arXiv:2411.07641), next: tokens whose logit is more than n standard deviations of all
  logits below the largest are removed;
- XTC (p-e-w 2024, text-generation-webui pull request 6335), last: with `xtc_probability`, all tokens with a probability of at
  least `xtc_threshold` are removed, except the least likely of them.

If several tokens at the edge of top-p are exactly equally likely, all of them are kept; transformers keeps some.
"""

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from fabula.generation.settings import SamplingSettings

UNLIKELY = 3e-6
"""Share of the probability below which top-p hardly ever keeps a token."""

BLOCK = 256
"""Weights that are summed at once."""

SMALLEST_DIVISOR = 1e-30
"""A smaller temperature or penalty would be 0 in float32; it has the same effect as this one."""

MAX_REPEATED = 50
"""Longest repeated sequence that DRY distinguishes."""


def token_weights(
    logits_V: NDArray[np.float32],
    settings: SamplingSettings,
    used_ids: NDArray[np.int64],
    *,
    breakers: Set[int] = frozenset(),
    without_likeliest: bool = False,
) -> NDArray[np.float32]:
    """How likely each token is to come next: weights_V, proportional to its probability, 0 for a token that cannot
    come.

    Args:
        logits_V: the model's logits for the next token, one for each of the V tokens of the vocabulary.
        settings: with `temperature` 0, only the likeliest token has a weight.
        used_ids: the tokens of the story so far, in order.
        breakers: tokens that end a sequence for DRY.
        without_likeliest: whether XTC applies to this token.
    """
    scores = logits_V.astype(np.float32)
    if settings.repetition_penalty != 1 and len(used_ids):
        used, penalty = np.unique(used_ids), max(settings.repetition_penalty, SMALLEST_DIVISOR)
        seen = scores[used]
        scores[used] = np.where(seen < 0, seen * penalty, seen / penalty)
    if settings.dry_multiplier > 0:
        for token, length in repeated_lengths(used_ids, breakers).items():
            if length >= settings.dry_allowed_length:
                growth = settings.dry_base ** (length - settings.dry_allowed_length)
                scores[token] -= np.float32(settings.dry_multiplier * growth)
    if settings.top_n_sigma > 0:
        spread = logits_V[np.isfinite(logits_V)].std()
        scores[scores < scores.max() - settings.top_n_sigma * spread] = -np.inf
    if settings.temperature == 0:
        weights = np.zeros_like(scores)
        weights[scores.argmax()] = 1
        return weights
    weights = np.exp((scores - scores.max()) / np.float32(max(settings.temperature, SMALLEST_DIVISOR)))
    if 0 < settings.top_k < len(scores):
        weights *= scores >= np.partition(scores, -settings.top_k)[-settings.top_k]
    if settings.top_p < 1:
        weights *= weights >= nucleus_edge(weights, settings.top_p)
    if settings.min_p > 0:
        weights *= weights >= settings.min_p  # the largest weight is 1
    if without_likeliest:
        likeliest = np.flatnonzero(weights >= settings.xtc_threshold * weights.sum())
        if len(likeliest) > 1:
            kept = likeliest[weights[likeliest].argmin()]
            weights[likeliest[likeliest != kept]] = 0
    return weights


def repeated_lengths(ids: NDArray[np.int64], breakers: Set[int]) -> dict[int, int]:
    """For each token that followed an earlier occurrence of the last tokens: the length of the longest such
    occurrence."""
    longest: dict[int, int] = {}
    if not len(ids) or int(ids[-1]) in breakers:
        return longest
    for place in np.flatnonzero(ids[:-1] == ids[-1]):
        follower, length = int(ids[place + 1]), 1
        while (
            length < min(MAX_REPEATED, place + 1)
            and ids[place - length] == ids[-1 - length]
            and int(ids[-1 - length]) not in breakers
        ):
            length += 1
        if follower not in breakers:
            longest[follower] = max(longest.get(follower, 0), length)
    return longest


def nucleus_edge(weights: NDArray[np.float32], top_p: float) -> float:
    """The smallest of these weights (positive or 0, in any order, of any sum) that top-p keeps.

    Sorting the whole vocabulary would take long. Tokens whose total weight does not exceed
    the weight to be removed are removed without sorting: nearly always all tokens below `UNLIKELY`, else those below
    the mean of what is to be removed.
    """
    # Comparing with a NumPy scalar would convert all weights to float64.
    total = float(weights.sum(dtype=np.float64))
    gone = (1 - top_p) * total
    for least in (UNLIKELY * total, gone / len(weights)):
        likely = np.compress(weights >= least, weights)  # faster than an index
        below = total - likely.sum(dtype=np.float64)
        if below <= gone:
            break
    likely.sort()
    return float(likely[_place(likely, _block_sums(likely), gone - below)])


def draw(weights_V: NDArray[np.float32], uniform: float) -> int:
    """The next token by inversion: the first whose cumulative probability, in order of ids, exceeds `uniform`.

    One number in [0, 1) decides one token, so the same numbers give the same story if the weights are the same.
    """
    sums = _block_sums(weights_V)
    return _place(weights_V, sums, uniform * sums[-1])


def _block_sums(weights_N: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cumulative sums up to the end of each block of `BLOCK` weights: those up to each weight would take much longer."""
    return np.cumsum(np.add.reduceat(weights_N, np.arange(0, len(weights_N), BLOCK), dtype=np.float64))


def _place(weights_N: NDArray[np.float32], block_sums: NDArray[np.float64], mass: float) -> int:
    """The first index at which the cumulative sum exceeds `mass`, or the last one with a weight if rounding has left
    none."""
    last = np.searchsorted(block_sums, block_sums[-1])
    block = int(min(np.searchsorted(block_sums, mass, side="right"), last))
    first, before = block * BLOCK, block_sums[block - 1] if block else 0.0
    within = np.cumsum(weights_N[first : first + BLOCK], dtype=np.float64)
    place = min(np.searchsorted(within, mass - before, side="right"), np.searchsorted(within, within[-1]))
    return first + int(place)


def loss_of(logits_V: NDArray[np.float32], token: int) -> float:
    """The loss of a token in nats."""
    most = float(logits_V.max())
    return most + float(np.log(np.exp(logits_V - most).sum(dtype=np.float64))) - float(logits_V[token])
