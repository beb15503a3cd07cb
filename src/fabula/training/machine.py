"""What suits the machine: number format and the number of windows that go through the model at once."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from fabula.training.loss import as_tensors

if TYPE_CHECKING:
    from fabula.training.loop import Trainer

CPU_TOKENS = 1024
"""Tokens that go through the model at once on a CPU: more only costs memory, and page faults with it."""

GPU_SHARE = 0.8
"""Share of the memory left on a GPU that activations may fill."""

LONGEST_PLAIN = 512
"""Positions up to which attention may keep all its scores in memory."""


@dataclass(frozen=True)
class Precision:
    """The number format of the products in a step; weights and optimiser stay in float32.

    Attributes:
        dtype: torch.float32, bfloat16 or float16.
        scaler: keeps small float16 gradients from vanishing; does nothing for the other formats.
    """

    device: torch.device
    dtype: torch.dtype
    scaler: torch.amp.GradScaler

    @classmethod
    def choose(cls, wanted: str, device: torch.device) -> "Precision":
        """The format that a recipe's `precision` stands for on this device."""
        if wanted == "auto":
            if device.type != "cuda":
                able = torch.cpu.get_capabilities()
                wanted = "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"
            else:
                wanted = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[wanted]
        return cls(device, dtype, torch.amp.GradScaler(device.type, enabled=dtype == torch.float16))

    def choose_attention(self, model: Any, context_length: int) -> None:
        """Make the model attend in the way that is fastest in this format.

        torch's fused attention on a CPU computes in float32 whatever it is given; plain products take half its time in
        bfloat16 (docs/training.md), but memory that grows with the square of the context.
        """
        if self.device.type == "cpu" and self.dtype == torch.bfloat16 and context_length <= LONGEST_PLAIN:
            model.set_attn_implementation("eager")

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the model computes."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def scoring(self) -> AbstractContextManager[object]:
        """The context in which held-out stories are scored: full precision on a CPU, as when a model is evaluated."""
        return self.autocast() if self.device.type == "cuda" else nullcontext()

    def scale(self) -> float:
        """The factor on the loss."""
        return float(self.scaler.get_scale()) if self.scaler.is_enabled() else 0.0

    def set_scale(self, scale: float) -> None:
        """Go on with this factor on the loss."""
        if self.scaler.is_enabled() and scale:
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": scale})


def choose_micro_batch_size(trainer: "Trainer") -> int:
    """How many windows go through the model at once: as the recipe says, or what suits the machine.

    On a GPU a step is tried with one window and with two, and the rest follows from the memory that they took. The
    choice is kept with the checkpoints, so that a resumed run computes the same sums.
    """
    recipe, workers = trainer.recipe, trainer.workers
    most = max(1, -(-trainer.batch_size // workers.size))
    if recipe.micro_batch_tokens is not None:
        return min(most, max(1, recipe.micro_batch_tokens // trainer.context_length))
    if workers.device.type != "cuda":
        return min(most, max(1, CPU_TOKENS // trainer.context_length))
    peaks = []
    for size in (1, 2):
        torch.cuda.reset_peak_memory_stats()
        windows = list(range(min(size, len(trainer.windows))))
        tensors = as_tensors(trainer.windows.batch(windows, trainer.pad_id), workers.device)
        with trainer.precision.autocast():
            loss = trainer.loss(*tensors)
        loss.backward()
        peaks.append(torch.cuda.max_memory_allocated())
    trainer.model.zero_grad(set_to_none=True)
    each = max(1, peaks[1] - peaks[0])
    states = 8 * trainer.num_trained  # AdamW's two means, not allocated yet
    free = torch.cuda.get_device_properties(workers.device).total_memory - peaks[0] - states
    return min(most, max(1, int(GPU_SHARE * free / each)))
