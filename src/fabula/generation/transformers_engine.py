"""The engine that needs no extra packages: any causal language model that transformers loads, in full precision."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from fabula.generation.engine import Batch, Engine, TextSide, left_padded
from fabula.models.device import best_device
from fabula.models.load import cache_argument, load_model

TOLERANCE = 0.01
"""Largest difference between logits, in units of their standard deviation, that rounding explains."""


class TransformersEngine(Engine):
    """Runs the model with transformers, on a GPU if there is one.

    An architecture that cannot keep what it has read in the form that others do (RWKV, Mamba, OpenAI's first GPT) reads the whole
    window again for each token.
    """

    name = "transformers"

    def __init__(self, folder: Path) -> None:
        self.model = load_model(folder, device=best_device())
        super().__init__(folder, TextSide.of(folder, self.model))
        self._batch = CachedBatch if _cache_is_exact(self.model) else RereadBatch

    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        return self._batch(self.model, windows)


class RereadBatch(Batch):
    """Reads each whole window again at every step, by itself: exact for every architecture."""

    def __init__(self, model: PreTrainedModel, windows: Sequence[Sequence[int]]) -> None:
        self._model, self._windows = model, [list(window) for window in windows]
        self._forward()

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        self._windows = [[*self._windows[row], token] for row, token in zip(rows, input_ids, strict=True)]
        self._forward()

    @torch.inference_mode()
    def _forward(self) -> None:
        device = self._model.device
        rows = (self._model(torch.tensor([window], device=device)).logits[0, -1] for window in self._windows)
        self.logits_BV = torch.stack([row.float() for row in rows]).cpu().numpy()


class CachedBatch(Batch):
    """Reads each token once, and keeps the attention keys and values."""

    def __init__(self, model: PreTrainedModel, windows: Sequence[Sequence[int]]) -> None:
        self._model = model
        self._wants_positions = "position_ids" in inspect.signature(model.forward).parameters
        input_ids_BT, mask_BT, positions_BT = left_padded(windows)
        self._cache, self._cache_argument = DynamicCache(config=model.config), cache_argument(model)
        self._mask_BT = torch.from_numpy(mask_BT).to(model.device)
        self._forward(torch.from_numpy(input_ids_BT), torch.from_numpy(positions_BT))

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        if list(rows) != list(range(len(self._mask_BT))):
            kept: Any = torch.tensor(rows, device=self._model.device)
            self._cache.reorder_cache(kept)
            self._mask_BT = self._mask_BT[kept]
        positions_B1 = self._mask_BT.sum(dim=1, keepdim=True)
        self._mask_BT = torch.nn.functional.pad(self._mask_BT, (0, 1), value=1)
        self._forward(torch.tensor(input_ids)[:, None], positions_B1)

    @torch.inference_mode()
    def _forward(self, input_ids_BT: torch.Tensor, positions_BT: torch.Tensor) -> None:
        device = self._model.device
        more: dict[str, Any] = {"position_ids": positions_BT.to(device)} if self._wants_positions else {}
        logits_B1V = self._model(
            input_ids=input_ids_BT.to(device),
            attention_mask=self._mask_BT,
            logits_to_keep=1,
            **{self._cache_argument: self._cache},
            **more,
        ).logits
        self.logits_BV = logits_B1V[:, -1].float().cpu().numpy()


def _cache_is_exact(model: PreTrainedModel) -> bool:
    """Whether `CachedBatch` gives the logits of `RereadBatch` for two windows of unequal length, of which one then leaves."""
    windows = [range(1, 8), range(2, 5)]
    exact = RereadBatch(model, windows)
    try:
        cached = CachedBatch(model, windows)
        for rows, input_ids in (([0, 1], [9, 8]), ([1], [7])):
            for batch in (cached, exact):
                batch.step(rows, input_ids)
            if np.abs(cached.logits_BV - exact.logits_BV).max() > TOLERANCE * exact.logits_BV.std():
                return False
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return False  # the architecture takes no such cache
    return True
