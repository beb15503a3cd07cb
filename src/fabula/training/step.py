"""One optimiser step: forward and backward over this worker's share of a batch, the sum over all workers, the update."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.distributed.tensor import DTensor

from fabula.tokens.windows import IGNORED
from fabula.training.interrupt import Interrupted
from fabula.training.loss import as_tensors
from fabula.training.setup import Setup

DIVERGED_NATS = 2.0
"""A loss this far above the base model's, and above that of a uniform guess over the vocabulary, means that the training has
failed."""


@dataclass(frozen=True)
class Gradients:
    """The results of a batch over all workers; the gradients themselves are in the weights' `grad`.

    Attributes:
        loss_sum: nats over all targets.
        num_targets: targets of the batch.
        norm: norm of the gradient before clipping.
    """

    loss_sum: float
    num_targets: int
    norm: float


def compute_gradients(
    setup: Setup, step: int, micro_batch_size: int, is_stopped: Callable[[], bool]
) -> Gradients:
    """The gradients of a step's mean loss over its targets, clipped.

    Dropout follows from (seed, step, worker).

    Raises:
        Interrupted: `is_stopped` returned True between two micro-batches of a single process.
    """
    workers, scaler = setup.workers, setup.precision.scaler
    seeds = np.random.SeedSequence([setup.job.seed, step, workers.rank])
    torch.manual_seed(int(seeds.generate_state(1)[0]))
    batch = setup.windows_of_step(step)
    num_targets = setup.windows.targets(batch)
    own = batch[workers.rank :: workers.size]
    losses: list[torch.Tensor] = []
    for optimizer in setup.optimizers:
        optimizer.zero_grad(set_to_none=True)
    # With sharded weights all workers compute together, so one without windows takes part with no targets.
    num_own = math.ceil(len(batch) / workers.size) if setup.is_sharded else len(own)
    for begin in range(0, num_own, micro_batch_size):
        numbers = own[begin : begin + micro_batch_size]
        windows = setup.windows.batch(numbers or batch[:1], setup.pad_id)
        if not numbers:
            windows.labels[:] = IGNORED
        with setup.precision.autocast():
            loss = setup.loss(*as_tensors(windows, workers.device))
        scaler.scale(loss / num_targets).backward()
        losses.append(loss.detach())  # a GPU still computes while the next windows are put together
        if is_stopped() and workers.size == 1:
            raise Interrupted
    # Summed before the scaler looks for overflow, so that all workers skip the same steps.
    if not setup.is_sharded:
        workers.sum_gradients(setup.trained)
    for optimizer in setup.optimizers:
        scaler.unscale_(optimizer)
    loss_sum = sum(loss.item() for loss in losses)
    loss_sum = workers.sum([loss_sum])[0] if workers.size > 1 else loss_sum
    limit = setup.recipe.max_grad_norm or math.inf
    norm = torch.nn.utils.clip_grad_norm_(setup.trained, limit)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    return Gradients(loss_sum, num_targets, float(norm))


def update_weights(setup: Setup, learning_rate: float) -> None:
    """Step the optimisers. A step whose float16 gradients overflowed is skipped, and the next loss is scaled less."""
    for optimizer in setup.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        setup.precision.scaler.step(optimizer)
    setup.precision.scaler.update()


def find_divergence(setup: Setup, gradients: Gradients, base_loss: float) -> str | None:
    """What is wrong with the loss or the gradient of a batch, or None.

    Args:
        base_loss: of the base model on held-out stories, in nats per token.
    """
    loss = gradients.loss_sum / gradients.num_targets
    uniform = math.log(setup.model.config.vocab_size)
    # In fp16 the gradient overflows now and then; the scaler skips such a step.
    may_overflow = setup.precision.scaler.is_enabled()
    is_number = math.isfinite(loss) and (may_overflow or math.isfinite(gradients.norm))
    if is_number and loss < max(uniform, base_loss) + DIVERGED_NATS:
        return None
    what = "diverges" if math.isfinite(loss) else "is not a number"
    return f"the training loss {what} ({loss:.3g}, gradient norm {gradients.norm:.3g})"
