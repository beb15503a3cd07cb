"""Scoring held-out stories while a model is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fabula.models.scoring import score_tokens
from fabula.progress import Progress
from fabula.training.workers import Workers


@dataclass(frozen=True)
class HeldOut:
    """Held-out stories, ready to be scored.

    Attributes:
        input_ids: of each story, as the model reads it in training (start and end tokens included).
        is_text: of each story, which tokens but the first hold story text (not newlines, not the end).
        num_bytes: of each story, UTF-8 bytes of its text without newlines.
    """

    input_ids: list[np.ndarray]
    is_text: list[np.ndarray]
    num_bytes: list[int]

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def num_tokens(self) -> int:
        return sum(len(ids) - 1 for ids in self.input_ids)

    def first(self, num_stories: int) -> "HeldOut":
        """The first of them."""
        return HeldOut(self.input_ids[:num_stories], self.is_text[:num_stories], self.num_bytes[:num_stories])

    def fitting(self, num_tokens: float) -> int:
        """How many of them, from the first, hold about `num_tokens` tokens; at least one."""
        ends = np.cumsum([len(ids) for ids in self.input_ids])
        return max(1, int(np.searchsorted(ends, num_tokens, side="right")))


def validate(
    model: Any, held_out: HeldOut, workers: Workers, on_tokens: Callable[[Progress], None]
) -> tuple[float, float]:
    """The loss of `model` on held-out stories, scored whole: nats per token, and bits per byte of story text."""
    was_training = model.training
    model.eval()
    mine = slice(workers.rank, None, workers.size)
    losses = score_tokens(model, held_out.input_ids[mine], on_progress=on_tokens)
    model.train(was_training)
    nats = text_nats = num_tokens = num_bytes = 0.0
    for scores, is_text, size in zip(losses, held_out.is_text[mine], held_out.num_bytes[mine], strict=True):
        nats += float(scores.sum())
        text_nats += float(scores[is_text].sum())
        num_tokens += len(scores)
        num_bytes += size
    nats, text_nats, num_tokens, num_bytes = workers.sum([nats, text_nats, num_tokens, num_bytes])
    return nats / num_tokens, text_nats / num_bytes / float(np.log(2))
