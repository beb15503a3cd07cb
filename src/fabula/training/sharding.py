"""Sharded training: each process holds a part of every weight, of its gradient and of its optimiser state.

torch's `fully_shard` (FSDP2) gathers the weights of a layer while that layer computes. Checkpoints are written and read
by torch.distributed.checkpoint, every process its own part, in safetensors files that any number of processes can read.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)

from fabula.files import PARTIAL, atomic_folder
from fabula.training.loss import StoryLoss
from fabula.training.weights import layers_of
from fabula.training.workers import Workers

T = TypeVar("T")

FILE_BYTES = 1 << 30
"""Each process writes its part in files of about this size, since a file is put together in memory."""


def shard(loss: StoryLoss, mesh: DeviceMesh, layer_dtype: torch.dtype | None = None) -> None:
    """Split the weights of the model in `loss` over the processes of `mesh`, and move each part to its device.

    Layers are split one by one. What is outside them (embeddings, output) is one more group, which is whole from the
    beginning of a forward pass to the end of the backward pass.

    Args:
        mesh: one dimension, or two: copies and parts.
        layer_dtype: the format in which the weights of layers are gathered; None for their own. The parts stay in their
            own format, and gradients are summed in float32.
    """
    policy = MixedPrecisionPolicy(
        param_dtype=layer_dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    for layer in layers_of(loss.inner):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(loss, mesh=mesh)
    for module in loss.modules():
        if isinstance(module, FSDPModule):
            # The mean would be wrong: a step divides the loss by the targets of all processes.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    register_fsdp_forward_method(loss, "run")


def run_together(loss: StoryLoss, workers: Workers, work: Callable[[], T]) -> T:
    """The result of `work`, which calls the model in `loss` without gradients.

    If the weights are sharded, every process calls the model as often as the one that calls it most, since its weights
    are gathered from all of them: one that is done earlier calls it on one token.
    """
    if not isinstance(loss, FSDPModule):
        return work()
    inner = loss.inner

    def wait_for_all(*_: object) -> None:
        workers.sum([1.0])

    def work_in_step() -> T:
        hook = inner.register_forward_pre_hook(wait_for_all)
        try:
            result = work()
        finally:
            hook.remove()
        while workers.sum([0.0])[0]:
            inner(torch.zeros((1, 1), dtype=torch.long, device=workers.device), use_cache=False)
        return result

    result = loss.run(work_in_step)
    loss.reshard()
    return result


@contextmanager
def shared_folder(path: Path, workers: Workers) -> Iterator[Path]:
    """An empty folder that all these processes fill; the first one then moves it to `path` (see `atomic_folder`)."""
    with ExitStack() as stack:
        folder = path.with_name(path.name + PARTIAL)
        if workers.is_first:
            folder = stack.enter_context(atomic_folder(path))
        workers.barrier()
        yield folder
        workers.barrier()
    workers.barrier()


def save_parts(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Write this process's parts of tensors that are split over all processes. All of them have to call this."""
    numbers, num_bytes = {}, 0
    for name, tensor in tensors.items():
        num_bytes += tensor.nbytes // distributed.get_world_size()
        numbers[name] = 1 + num_bytes // FILE_BYTES
    writer = HuggingFaceStorageWriter(str(folder), numbers, save_distributed=True)
    save(tensors, storage_writer=writer)


def load_parts(tensors: dict[str, torch.Tensor], folder: Path, workers: Workers) -> None:
    """Fill tensors, split or whole, from files that `save_parts` wrote in any number of processes."""
    reader = HuggingFaceStorageReader(str(folder))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is", UserWarning)  # one process reads on purpose
        load(tensors, storage_reader=reader, no_dist=workers.size == 1)


def sizes_of(folder: Path) -> dict[str, torch.Size]:
    """The shapes of the whole tensors in a folder that `save_parts` wrote."""
    metadata = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return {name: each.size for name, each in metadata.items() if isinstance(each, TensorStorageMetadata)}
