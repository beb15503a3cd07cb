"""How much a converted model lost: compares its predictions with the original's, on text that it was not trained on."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Comparison of what two models predict at the same positions of the same texts.

    Attributes:
        kl: mean Kullback-Leibler divergence, nats per token, of the converted model's distribution of the next token
            from the original's.
        greedy_agreement: share of the positions where both models find the same token likeliest.
        bits_per_byte: of the text, under the original. bits_per_byte_lost: how much higher it is under the converted
            model; negative if it is lower.
        nats_per_token: of the text, under the original.
        num_tokens: positions compared.
    """

    kl: float
    greedy_agreement: float
    bits_per_byte: float
    bits_per_byte_lost: float
    nats_per_token: float
    num_tokens: int

    @property
    def share_lost(self) -> float:
        """How much worse the text is predicted, as a share: the loss measured on its tokens, or the loss that the
        divergence predicts, whichever is larger. (On few tokens the measured loss can be small by chance; the
        divergence is less noisy.) NaN if either is.
        """
        shares = (self.bits_per_byte_lost / self.bits_per_byte, self.kl / self.nats_per_token)
        return float(np.max(shares))


def compare(
    original_NV: NDArray[np.float32],
    converted_NV: NDArray[np.float32],
    next_ids_N: NDArray[np.int64],
    num_bytes: int,
) -> Fidelity:
    """Compare the logits of two models at N positions of a text.

    Args:
        original_NV: logits of the token that follows each position.
        converted_NV: the same, from the converted model.
        next_ids_N: the tokens that actually follow.
        num_bytes: their UTF-8 bytes.
    """
    before_NV, after_NV = _log_softmax(original_NV), _log_softmax(converted_NV)
    places = np.arange(len(next_ids_N)), next_ids_N
    bits = math.log(2) * num_bytes
    return Fidelity(
        kl=float((np.exp(before_NV) * (before_NV - after_NV)).sum(axis=1).mean()),
        greedy_agreement=float((before_NV.argmax(axis=1) == after_NV.argmax(axis=1)).mean()),
        bits_per_byte=float(-before_NV[places].sum()) / bits,
        bits_per_byte_lost=float((before_NV[places] - after_NV[places]).sum()) / bits,
        nats_per_token=float(-before_NV[places].mean()),
        num_tokens=len(next_ids_N),
    )


def longest_contexts(contexts: Sequence[Sequence[int]]) -> Iterator[tuple[Sequence[int], list[int]]]:
    """Join consecutive contexts that begin one another: the longest of them, and the lengths of all. A model that reads the
    longest computes the logits after each."""
    lengths: list[int] = []
    for number, context in enumerate(contexts):
        lengths.append(len(context))
        if number + 1 == len(contexts) or contexts[number + 1][: len(context)] != context:
            yield context, lengths
            lengths = []


def _log_softmax(logits_NV: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits_NV.astype(np.float64) - logits_NV.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
