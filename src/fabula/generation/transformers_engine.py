"""The engine that needs no extra packages: any causal language model that transformers loads, in full precision."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, PreTrainedModel

from fabula.generation.engine import Batch, Engine, TextSide, left_padded
from fabula.models.device import best_device
from fabula.models.load import cache_argument, load_model


class TransformersEngine(Engine):
    """Runs the model with transformers, on a GPU if there is one."""

    name = "transformers"

    def __init__(self, folder: Path) -> None:
        self.model = load_model(folder, device=best_device())
        super().__init__(folder, TextSide.of(folder, self.model))
        self._wants_positions = "position_ids" in inspect.signature(self.model.forward).parameters

    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        return TransformersBatch(self.model, self._wants_positions, *left_padded(windows))


class TransformersBatch(Batch):
    def __init__(
        self,
        model: PreTrainedModel,
        wants_positions: bool,
        input_ids_BT: NDArray[np.int64],
        mask_BT: NDArray[np.int64],
        positions_BT: NDArray[np.int64],
    ) -> None:
        self._model, self._wants_positions = model, wants_positions
        self._cache, self._cache_argument = DynamicCache(config=model.config), cache_argument(model)
        self._mask_BT = torch.from_numpy(mask_BT).to(model.device)
        self._forward(torch.from_numpy(input_ids_BT), torch.from_numpy(positions_BT))

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        if list(rows) != list(range(len(self._mask_BT))):
            kept = torch.tensor(rows, device=self._model.device)
            self._cache.batch_select_indices(kept)
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
