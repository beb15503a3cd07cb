"""The training loss: the sum of -ln p over the targets of a batch, without a [batch, positions, vocabulary] tensor."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fabula.errors import FabulaError
from fabula.tokens.windows import IGNORED, Batch

TOLERANCE = 1e-3
"""Largest relative difference between a fast path and the plain one that rounding explains."""


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
            options=torch.nn.LinearCrossEntropyOptions(),
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
        model = self.inner
        was_training = model.training
        model.eval()
        device = next(model.parameters()).device
        vocab_size = model.get_output_embeddings().weight.shape[0]
        tokens = np.random.default_rng(0).integers(0, vocab_size, size=(2, 8))
        batch = as_tensors(
            Batch(
                tokens[:, :-1].reshape(1, -1),
                tokens[:, 1:].reshape(1, -1),
                np.tile(np.arange(7), 2).reshape(1, -1),
                np.repeat([1, 2], 7).reshape(1, -1),
            ),
            device,
        )
        ids = torch.from_numpy(tokens).to(device)
        logits = model(input_ids=ids[:, :-1]).logits.float()
        alone = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
        separate = [tensor.reshape(2, 7) for tensor in batch]
        separate[3] = torch.ones_like(separate[3])
        for self.packs in (True, False):
            for self.fused in (True, False):
                try:
                    loss = self(*(batch if self.packs else separate))
                except (TypeError, AttributeError, ValueError, RuntimeError):
                    continue  # the architecture has no such argument or part
                if torch.isclose(loss, alone, rtol=TOLERANCE):
                    model.train(was_training)
                    return
        raise FabulaError(
            f"a {model.config.model_type} model cannot be trained on stories: its losses do not agree"
        )


def as_tensors(batch: Batch, device: torch.device) -> list[torch.Tensor]:
    """The four arrays of a batch on `device`, in the order that `StoryLoss` takes them."""
    arrays = (batch.input_ids, batch.labels, batch.position_ids, batch.segment_ids)
    return [torch.from_numpy(array).to(device, non_blocking=True) for array in arrays]
