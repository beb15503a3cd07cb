"""How well a causal language model predicts tokens: the loss of each, in strided windows.

Shapes: B windows in a batch, T tokens in a window, N scored tokens of a batch, V words of the vocabulary.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fabula.defaults import MAX_SCORING_CONTEXT
from fabula.models.load import context_length_of
from fabula.models.story_format import StoryFormat
from fabula.progress import OnProgress, Progress, silent

TOKENS_PER_BATCH = 4096
LOGITS_PER_BATCH = 1 << 26
LOGITS_PER_CHUNK = 1 << 22
"""Limits on memory: tokens in a batch, logits in a batch (256 MB in float32), logits in a temporary copy (16 MB)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `begin` to `end` of a sequence are read; those from `first` on are scored."""

    sequence: int
    begin: int
    first: int
    end: int


def score_tokens(
    model: Any,
    input_ids: Sequence[np.ndarray | list[int]],
    story_format: StoryFormat,
    *,
    context_length: int | None = None,
    stride: int | None = None,
    batch_size: int | None = None,
    on_progress: OnProgress = silent,
) -> list[np.ndarray]:
    """The loss of every token but the first of each sequence, in nats.

    A sequence longer than the context is read in windows that advance by `stride` tokens. Each token is scored once,
    with at least `context_length - stride` tokens before it, if there are as many.

    Args:
        model: a causal language model in evaluation mode.
        input_ids: sequences of any lengths, each beginning as a story does.
        story_format: determines how a window begins that continues a sequence.
        context_length: tokens in a window; None for `default_context_length`.
        stride: tokens between the starts of two windows, less than `context_length`; None for half of it.
        batch_size: windows scored at a time; None for as many as fit the limits on memory.

    Returns:
        For each sequence of n tokens an array of n - 1 losses, float64.
    """
    context_length = context_length or default_context_length(model)
    stride = stride or max(1, context_length // 2)
    if not 0 < stride < context_length:
        raise ValueError(f"stride {stride} must be between 0 and the context length {context_length}")
    sequences = [np.asarray(ids, dtype=np.int64) for ids in input_ids]
    losses = [np.zeros(max(0, len(ids) - 1)) for ids in sequences]
    windows = [
        window
        for index, ids in enumerate(sequences)
        for window in windows_of(index, len(ids), context_length, stride)
    ]
    windows.sort(key=lambda window: (window.end - window.begin, window.first - window.begin), reverse=True)
    total = sum(len(nats) for nats in losses)
    done = 0
    for batch in batches_of(windows, model.config.get_text_config().vocab_size, batch_size):
        nats = score_batch(model, sequences, batch, story_format)
        for window in batch:
            count = window.end - window.first
            losses[window.sequence][window.first - 1 : window.end - 1] = nats[:count]
            nats = nats[count:]
            done += count
        on_progress(Progress("evaluate", done, total, "tokens"))
    return losses


def default_context_length(model: Any) -> int:
    """The model's own context length, at most `MAX_SCORING_CONTEXT`."""
    return min(context_length_of(model.config.get_text_config()), MAX_SCORING_CONTEXT)


def windows_of(sequence: int, num_tokens: int, context_length: int, stride: int) -> Iterator[Window]:
    """The windows of one sequence; together they score each of its tokens but the first exactly once."""
    first, begin = 1, 0
    while first < num_tokens:
        end = min(begin + context_length, num_tokens)
        yield Window(sequence, begin, first, end)
        first, begin = end, begin + stride


def batches_of(windows: Sequence[Window], vocab_size: int, batch_size: int | None) -> Iterator[list[Window]]:
    """Cut `windows`, longest first, into batches within the limits on memory."""
    batch: list[Window] = []
    scored = 0
    for window in windows:
        count = window.end - window.first
        full = (
            len(batch) == batch_size
            if batch_size
            else (len(batch) + 1) * (batch[0].end - batch[0].begin) > TOKENS_PER_BATCH
            or (scored + count) * vocab_size > LOGITS_PER_BATCH
            if batch
            else False
        )
        if full:
            yield batch
            batch, scored = [], 0
        batch.append(window)
        scored += count
    if batch:
        yield batch


@torch.no_grad()  # not inference_mode: sharded weights that were gathered in it cannot be trained
def score_batch(
    model: Any, sequences: Sequence[np.ndarray], batch: Sequence[Window], story_format: StoryFormat
) -> np.ndarray:
    """[N] losses in nats, float64, of the scored tokens of `batch`, window after window.

    Rows are padded on the right. Causal attention never reads the padding, so no mask is needed. The logits of tokens
    that are not scored are not computed.
    """
    longest = max(window.end - window.begin for window in batch)
    input_ids_BT = np.zeros((len(batch), longest), dtype=np.int64)
    predicts_BT = np.zeros((len(batch), longest), dtype=bool)
    for row, window in enumerate(batch):
        ids = sequences[window.sequence][window.begin : window.end]
        input_ids_BT[row, : len(ids)] = story_format.continue_window(ids) if window.begin else ids
        predicts_BT[row, window.first - 1 - window.begin : window.end - 1 - window.begin] = True
    targets_N = np.concatenate([sequences[window.sequence][window.first : window.end] for window in batch])
    predicts = torch.from_numpy(predicts_BT).to(model.device)
    logits_NV = scored_logits(model, torch.from_numpy(input_ids_BT).to(model.device), predicts)
    targets = torch.from_numpy(targets_N).to(model.device)
    rows = max(1, LOGITS_PER_CHUNK // logits_NV.shape[-1])
    losses = [
        torch.nn.functional.cross_entropy(logits.float(), target, reduction="none")
        for logits, target in zip(logits_NV.split(rows), targets.split(rows), strict=True)
    ]
    return torch.cat(losses).cpu().double().numpy()


def scored_logits(model: Any, input_ids_BT: torch.Tensor, predicts_BT: torch.Tensor) -> torch.Tensor:
    """[N, V] logits at the positions where `predicts_BT` is true."""
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        return model(input_ids_BT, use_cache=False, logits_to_keep=predicts_BT).logits
    return model(input_ids_BT, use_cache=False).logits[predicts_BT]
