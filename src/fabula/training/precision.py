"""The number format of the computations in a training step."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from fabula.errors import FabulaError

MAX_EAGER_CONTEXT = 512
"""Positions up to which attention may hold all its scores in memory."""


@dataclass(frozen=True)
class Precision:
    """The number format of the matrix products in a step; weights and optimiser state stay in float32.

    Attributes:
        dtype: torch.float32, bfloat16 or float16.
        scaler: scales the loss so that small float16 gradients do not underflow to zero; does nothing in other formats.
    """

    device: torch.device
    dtype: torch.dtype
    scaler: torch.amp.GradScaler

    @classmethod
    def choose(cls, wanted: str, device: torch.device) -> "Precision":
        """The format that a recipe's `precision` means on this device.

        Raises:
            FabulaError: fp16 on Apple's GPU, where torch's scaler is not supported.
        """
        if wanted == "fp16" and device.type == "mps":
            raise FabulaError(
                "fp16 does not train on Apple's GPU", where="precision", hint="choose bf16 or fp32"
            )
        if wanted == "auto":
            if device.type == "mps":
                wanted = "fp32"
            elif device.type != "cuda":
                able = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.9 cannot tell
                wanted = "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"
            else:
                wanted = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[wanted]
        return cls(device, dtype, torch.amp.GradScaler(device.type, enabled=dtype == torch.float16))

    def choose_attention(self, model: Any, context_length: int) -> None:
        """Set the attention implementation that is fastest in this format.

        torch's fused attention on a CPU computes in float32 whatever its inputs are. Plain products take half as long
        in bfloat16 (docs/training.md), but their memory grows with the square of the context.
        """
        if self.device.type == "cpu" and self.dtype == torch.bfloat16 and context_length <= MAX_EAGER_CONTEXT:
            model.set_attn_implementation("eager")

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the model computes."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def scoring(self) -> AbstractContextManager[object]:
        """The context in which validation stories are scored: full precision on a CPU, as in an evaluation."""
        return self.autocast() if self.device.type == "cuda" else nullcontext()

    def scale(self) -> float:
        """The factor on the loss; 0 if it is not scaled."""
        return float(self.scaler.get_scale()) if self.scaler.is_enabled() else 0.0

    def set_scale(self, scale: float) -> None:
        """Restore a factor that `scale` returned."""
        if self.scaler.is_enabled() and scale:
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": scale})
