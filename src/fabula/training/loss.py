"""The training loss: the sum of -ln p over the targets of a batch, without a [batch, positions, vocabulary] tensor."""

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fabula.errors import FabulaError
from fabula.tokens.windows import IGNORED, Batch

TOLERANCE = 1e-3
"""Largest difference of logits, in their standard deviations, that rounding explains."""


CHUNK = defaultdict(lambda: 2048, cpu=256)
"""Positions whose logits exist at once, by device. torch's own choice makes chunks that are far too small for GPT-2's
vocabulary: on a CPU a loss then takes six times as long (docs/training.md)."""


class StoryLoss(nn.Module):
    """A causal language model with the loss of packed windows on top.

    Legend: B windows, T positions, C width of the model, V vocabulary.

    When it is made, it tries on a few tokens whether two pieces in one window get the same loss as each alone, and
    whether the output embedding applied to the last hidden state gives the model's own logits. Where an architecture is
    different, `packs` is False, or logits are taken from the model itself.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.fused = True
        self.packs = True
        self._choose_path()

    @property
    def inner(self) -> Any:
        """The model itself, without low-rank additions around it."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    def forward(
        self,
        input_ids_BT: torch.Tensor,
        labels_BT: torch.Tensor,
        position_ids_BT: torch.Tensor,
        segment_ids_BT: torch.Tensor,
    ) -> torch.Tensor:
        """The sum over all targets of -ln p, in nats."""
        inner, arguments = self.inner, {"input_ids": input_ids_BT, "use_cache": False}
        if self.packs:
            arguments["position_ids"] = position_ids_BT
            arguments["attention_mask"] = self._mask(segment_ids_BT)
        if not self.fused:
            logits_BTV = inner(**arguments).logits
            return functional.cross_entropy(
                logits_BTV.flatten(0, 1).float(), labels_BT.flatten(), ignore_index=IGNORED, reduction="sum"
            )
        hidden_BTC = inner.base_model(**arguments).last_hidden_state
        counted_BT = labels_BT != IGNORED
        head = inner.get_output_embeddings()
        hidden_NC = hidden_BTC[counted_BT]
        if torch.is_autocast_enabled(hidden_NC.device.type):
            hidden_NC = hidden_NC.to(torch.get_autocast_dtype(hidden_NC.device.type))
        return functional.linear_cross_entropy(
            hidden_NC,
            head.weight.to(hidden_NC.dtype),
            labels_BT[counted_BT],
            linear_bias=head.bias,
            reduction="sum",
            options=torch.nn.LinearCrossEntropyOptions(batch_chunk_size=CHUNK[hidden_NC.device.type]),
        )

    def _mask(self, segment_ids_BT: torch.Tensor) -> torch.Tensor:
        """[B, 1, T, T]: which positions (last axis) each position sees: its own piece, up to itself. Padding sees all
        pieces before it, and nothing sees padding."""
        query, key = segment_ids_BT[:, :, None], segment_ids_BT[:, None, :]
        seen = ((query == key) | (query == 0)) & (key != 0)
        seen = seen.tril().unsqueeze(1)
        if self.inner.config._attn_implementation == "sdpa":
            return seen
        dtype = next(self.inner.parameters()).dtype
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(
            ~seen, torch.finfo(dtype).min
        )

    @torch.no_grad()
    def _choose_path(self) -> None:
        """Take the first path, the fastest first, whose logits of two pieces are those of each piece alone."""
        model = self.inner
        was_training = model.training
        model.eval()
        head = model.get_output_embeddings()
        ids_BT = torch.from_numpy(np.random.default_rng(0).integers(0, head.weight.shape[0], (2, 7)))
        ids_BT = ids_BT.to(head.weight.device)
        if not model(input_ids=ids_BT).logits.isfinite().all():
            raise FabulaError("the weights of this base model give logits that are not numbers")
        weight = head.weight.clone()
        try:
            for self.packs in (True, False):
                for self.fused in (True, False):
                    # Fresh models give logits near zero, where a function on top of them would not show.
                    if all(
                        self._agrees(ids_BT, head.weight.copy_(weight * factor)) for factor in (1.0, 100.0)
                    ):
                        return
        finally:
            head.weight.copy_(weight)
            model.train(was_training)
        raise FabulaError(
            f"a {model.config.model_type} model cannot be trained on stories: its logits do not agree"
        )

    def _agrees(self, ids_BT: torch.Tensor, head_weight: torch.Tensor) -> bool:
        model, arguments = self.inner, {"input_ids": ids_BT}
        alone = model(input_ids=ids_BT).logits.float()
        if self.packs:
            positions = torch.arange(7, device=ids_BT.device).repeat(2)[None]
            segments = torch.tensor([1, 2], device=ids_BT.device).repeat_interleave(7)[None]
            arguments = {
                "input_ids": ids_BT.reshape(1, -1),
                "position_ids": positions,
                "attention_mask": self._mask(segments),
            }
        try:
            if self.fused:
                logits = functional.linear(
                    model.base_model(**arguments).last_hidden_state,
                    head_weight,
                    model.get_output_embeddings().bias,
                )
            else:
                logits = model(**arguments).logits
        except (TypeError, AttributeError, ValueError, RuntimeError):
            return False  # the architecture has no such argument or part
        difference = (logits.float().reshape(alone.shape) - alone).abs().max()
        return bool(difference <= TOLERANCE * alone.std())


def as_tensors(batch: Batch, device: torch.device) -> list[torch.Tensor]:
    """The four arrays of a batch on `device`, in the order that `StoryLoss` takes them."""
    arrays = (batch.input_ids, batch.labels, batch.position_ids, batch.segment_ids)
    return [torch.from_numpy(array).to(device, non_blocking=True) for array in arrays]
