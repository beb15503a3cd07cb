"""The training loss: the sum of -ln p over the targets of a batch, without a [batch, positions, vocabulary] tensor."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fabula.errors import FabulaError
from fabula.models.quiet import quiet
from fabula.tokens.windows import IGNORED, WindowBatch
from fabula.training.attention import BY_SEGMENT, segment_offsets

TOLERANCE = 1e-3
"""Largest difference between logits, in units of their standard deviation, that rounding explains."""


CHUNK = defaultdict(lambda: 1024, cpu=512)
"""Positions whose logits are in memory at once, by device."""


class LinearCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of a linear layer's outputs, with the logits of only a few positions in memory at a time.

    Legend: N positions, K of them at once, C width of the model, V vocabulary.

    The gradients are computed with the loss, while the logits are in memory: (softmax - one-hot) times the weights, and
        times the inputs. Products are computed in the dtype of `hidden_NC`; softmax, loss and the weights' gradient in
        float32.
    torch's own `linear_cross_entropy` rounds a bfloat16 loss to 8 bits and takes twice as long on a CPU
    (docs/training.md).
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NC: torch.Tensor,
        weight_VC: torch.Tensor,
        bias_V: torch.Tensor | None,
        targets_N: torch.Tensor,
    ) -> torch.Tensor:
        """The sum over the N positions of -ln p(target), in nats, in float32."""
        _, weight_wanted, bias_wanted, _ = ctx.needs_input_grad
        loss = hidden_NC.new_zeros((), dtype=torch.float32)
        grad_hidden_NC = torch.empty_like(hidden_NC)
        grad_weight_VC = None
        grad_bias_V = (
            bias_V.new_zeros(bias_V.shape, dtype=torch.float32)
            if bias_wanted and bias_V is not None
            else None
        )
        weight_VC = weight_VC.to(hidden_NC.dtype)
        bias_V = None if bias_V is None else bias_V.to(hidden_NC.dtype)
        size = CHUNK[hidden_NC.device.type]
        for begin in range(0, len(hidden_NC), size):
            hidden_KC, targets_K1 = hidden_NC[begin : begin + size], targets_N[begin : begin + size, None]
            logits_KV = functional.linear(hidden_KC, weight_VC, bias_V)
            gradient_KV = functional.log_softmax(logits_KV, dim=1, dtype=torch.float32)
            loss -= gradient_KV.gather(1, targets_K1).sum()
            gradient_KV.exp_().scatter_add_(
                1, targets_K1, torch.full_like(targets_K1, -1, dtype=torch.float32)
            )
            if grad_bias_V is not None:
                grad_bias_V += gradient_KV.sum(0)
            gradient_KV = gradient_KV.to(hidden_NC.dtype)
            grad_hidden_NC[begin : begin + size] = gradient_KV @ weight_VC
            if weight_wanted:
                own_VC = (gradient_KV.T @ hidden_KC).float()
                grad_weight_VC = own_VC if grad_weight_VC is None else grad_weight_VC.add_(own_VC)
        if weight_wanted and grad_weight_VC is None:  # no position counts
            grad_weight_VC = torch.zeros_like(weight_VC, dtype=torch.float32)
        ctx.save_for_backward(grad_hidden_NC, grad_weight_VC, grad_bias_V)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients from `forward`, times the gradient of the loss."""
        return *(None if kept is None else kept.mul_(grad) for kept in ctx.saved_tensors), None


class StoryLoss(nn.Module):
    """A causal language model with the loss of packed windows on top.

    Legend: B windows, T positions, C width of the model, V vocabulary.

    On construction it checks on a few tokens whether two segments in one window get the same loss as each alone, and
    whether the output embedding applied to the last hidden state gives the model's own logits. For an architecture that
    differs, `packs` is False, or logits are taken from the model itself.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.fused = True
        self.packs = True
        self._choose_path()

    @property
    def inner(self) -> Any:
        """The model itself, without LoRA adapters around it."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    def run(self, work: Callable[[], Any]) -> Any:
        """The result of `work`, which calls the model; where `fully_shard` wraps this method, with its outer weights
        gathered."""
        return work()

    @property
    def attends_by_segment(self) -> bool:
        """Whether attention computes each segment on its own, without a mask."""
        return self.inner.config._attn_implementation == BY_SEGMENT

    def forward(
        self,
        input_ids_BT: torch.Tensor,
        position_ids_BT: torch.Tensor,
        segment_ids_BT: torch.Tensor,
        offsets: torch.Tensor,
        counted_N: torch.Tensor,
        targets_N: torch.Tensor,
    ) -> torch.Tensor:
        """The sum over all targets of -ln p, in nats. The arguments come from `as_tensors`."""
        inner, arguments = self.inner, {"input_ids": input_ids_BT, "use_cache": False}
        if self.packs:
            arguments["position_ids"] = position_ids_BT
            arguments["attention_mask"] = self._attention_mask(segment_ids_BT, offsets)
        if not self.fused:
            logits_NV = inner(**arguments).logits.flatten(0, 1).index_select(0, counted_N)
            return functional.cross_entropy(logits_NV.float(), targets_N, reduction="sum")
        hidden_BTC = inner.base_model(**arguments).last_hidden_state
        head = inner.get_output_embeddings()
        hidden_NC = hidden_BTC.flatten(0, 1).index_select(0, counted_N)
        if torch.is_autocast_enabled(hidden_NC.device.type):
            hidden_NC = hidden_NC.to(torch.get_autocast_dtype(hidden_NC.device.type))
        return LinearCrossEntropy.apply(hidden_NC, head.weight, head.bias, targets_N)

    def _attention_mask(self, segment_ids_BT: torch.Tensor, offsets: torch.Tensor) -> Any:
        """What keeps attention within segments: a mask, or their offsets in the form that `attend_by_segment` takes."""
        return offsets[None, None, None] if self.attends_by_segment else self._mask(segment_ids_BT)

    def _mask(self, segment_ids_BT: torch.Tensor) -> Any:
        """[B, 1, T, T]: which positions (last axis) each position attends to: those of its own segment, up to itself.
        Padding attends to all segments before it, and nothing attends to padding. If layers differ in how far back they
        attend (Gemma 3), one such mask for each kind of layer, in the form that transformers takes."""
        query, key = segment_ids_BT[:, :, None], segment_ids_BT[:, None, :]
        seen = ((query == key) | (query == 0)) & (key != 0)
        seen = seen.tril().unsqueeze(1)
        config = self.inner.config
        width = getattr(config, "sliding_window", None)
        kinds = set(getattr(config, "layer_types", None) or ())
        if width is None or kinds == {"full_attention"}:
            return self._as_attention_mask(seen)
        near = seen.triu(1 - width)
        if not kinds:
            return self._as_attention_mask(near)
        by_kind = {"full_attention": seen, "sliding_attention": near}
        return {kind: self._as_attention_mask(by_kind[kind]) for kind in kinds}

    def _as_attention_mask(self, seen: torch.Tensor) -> torch.Tensor:
        """The mask in the form that the model's attention takes: booleans, or numbers to add to the scores."""
        if self.inner.config._attn_implementation == "sdpa":
            return seen
        dtype = next(self.inner.parameters()).dtype
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(
            ~seen, torch.finfo(dtype).min
        )

    @torch.no_grad()
    def _choose_path(self) -> None:
        """Choose the fastest path whose logits for two segments equal those of each segment alone."""
        model = self.inner
        was_training = model.training
        model.eval()
        head, ids_BT = model.get_output_embeddings(), self._checked_ids()
        if not model(input_ids=ids_BT).logits.isfinite().all():
            raise FabulaError("the weights of this base model give logits that are not numbers")
        weight = head.weight.clone()
        try:
            for self.packs in (True, False):
                for self.fused in (True, False):
                    # The logits of fresh models are near zero, where a function applied to them would make no visible
                    # difference.
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

    @torch.no_grad()
    def attend_by_segment(self) -> bool:
        """Let attention compute each segment on its own. Returns False, and leaves the mask, if the architecture does not
        support that."""
        model = self.inner
        before, was_training = model.config._attn_implementation, model.training
        if not (self.packs and model._supports_flash_attn):  # those that do name their sliding windows
            return False
        with quiet():
            model.set_attn_implementation(BY_SEGMENT)
        model.eval()
        agrees = self.attends_by_segment and self._agrees(
            self._checked_ids(), model.get_output_embeddings().weight
        )
        model.train(was_training)
        if not agrees:
            model.set_attn_implementation(before)
        return agrees

    def _checked_ids(self) -> torch.Tensor:
        """[2, 7]: the tokens of the two segments that `_agrees` tries."""
        weight_VC = self.inner.get_output_embeddings().weight
        ids_BT = np.random.default_rng(0).integers(0, weight_VC.shape[0], (2, 7))
        return torch.from_numpy(ids_BT).to(weight_VC.device)

    def _agrees(self, ids_BT: torch.Tensor, head_weight: torch.Tensor) -> bool:
        model, arguments = self.inner, {"input_ids": ids_BT}
        try:
            if self.packs:
                positions = torch.arange(7, device=ids_BT.device).repeat(2)[None]
                segments = torch.tensor([1, 2], device=ids_BT.device).repeat_interleave(7)[None]
                offsets = torch.tensor([0, 7, 14], dtype=torch.int32, device=ids_BT.device)
                arguments = {
                    "input_ids": ids_BT.reshape(1, -1),
                    "position_ids": positions,
                    "attention_mask": self._attention_mask(segments, offsets),
                }
            alone = model(input_ids=ids_BT).logits.float()
            if self.fused:
                logits = functional.linear(
                    model.base_model(**arguments).last_hidden_state,
                    head_weight,
                    model.get_output_embeddings().bias,
                )
            else:
                logits = model(**arguments).logits
        except (TypeError, AttributeError, KeyError, ValueError, RuntimeError):
            return False  # the architecture has no such argument or part
        difference = (logits.float().reshape(alone.shape) - alone).abs().max()
        return bool(difference <= TOLERANCE * alone.std())


def as_tensors(batch: WindowBatch, device: torch.device) -> list[torch.Tensor]:
    """What `StoryLoss` takes, on `device`: tokens, positions and segments, all [B, T]; the offsets of the segments, [S + 1];
    the places of the N targets among the B T positions, and the targets.

    What depends on the labels is computed here: on a GPU, the program would have to wait for it.
    """
    counted_N = np.flatnonzero(batch.labels != IGNORED)
    arrays = (
        batch.input_ids,
        batch.position_ids,
        batch.segment_ids,
        segment_offsets(batch.segment_ids),
        counted_N,
        batch.labels.ravel()[counted_N],
    )
    return [torch.from_numpy(array).to(device, non_blocking=device.type == "cuda") for array in arrays]
