"""One process, or several that share the work: started by `torchrun` or `accelerate launch`, which set environment
variables. Every process reads the same batch list, takes its share of each batch, and sums the gradients."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.rendezvous import rendezvous

from fabula.errors import FabulaError
from fabula.models.device import best_device

BUCKET_BYTES = 64 << 20
"""Gradients are summed over the processes in buckets of about this many bytes."""

MEETING_TIMEOUT = timedelta(hours=6)
"""Processes wait so long for all to come: in a run, the first one cleans the stories before."""

TIMEOUT = timedelta(hours=1)
"""Then they wait so long for each other, as when the first one writes a large model. That a process has died is known at
once, but not that its machine has."""


@dataclass(frozen=True)
class Workers:
    """This process among all processes of the training.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        device: what it computes on.
    """

    rank: int
    size: int
    device: torch.device

    @classmethod
    def join(cls) -> "Workers":
        """Connect to the other processes, if there are any."""
        size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        device = best_device()
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(device)
        elif size > 1:  # gloo sums on the processor
            device = torch.device("cpu")
        if (size > 1 or is_launched()) and not distributed.is_initialized():
            store = meet(rank, size)
            backend = "nccl" if device.type == "cuda" else "gloo"
            distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
        return cls(rank, size, device)

    def alone(self) -> "Workers":
        """This process without the others."""
        return Workers(0, 1, self.device)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until all processes have called this."""
        if self.size > 1:
            distributed.barrier()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """A block that the processes of a host go through one after the other. Every process has to use it."""
        before, num_local = self.rank % self._num_local, self._num_local
        for _ in range(before):
            self.barrier()
        try:
            yield
        finally:
            for _ in range(before, num_local):
                self.barrier()

    @property
    def _num_local(self) -> int:
        """Processes on each host."""
        return int(os.environ.get("LOCAL_WORLD_SIZE", str(self.size)))

    def mesh(self, *, within_hosts: bool) -> DeviceMesh:
        """All processes in one dimension, or in two: hosts, and the processes of each."""
        if not within_hosts:
            return init_device_mesh(self.device.type, (self.size,))
        shape = (self.size // self._num_local, self._num_local)
        return init_device_mesh(self.device.type, shape, mesh_dim_names=("hosts", "processes"))

    def merge(self, own: dict[str, str]) -> dict[str, str]:
        """The entries of all processes."""
        if self.size == 1:
            return own
        parts: list[dict[str, str]] = [{} for _ in range(self.size)]
        distributed.all_gather_object(parts, own)
        return {name: value for part in parts for name, value in part.items()}

    def sum(self, values: Iterable[float]) -> list[float]:
        """The sums over all processes, in float64."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.tolist()

    def from_first(self, values: Iterable[float]) -> list[float]:
        """The first process's values."""
        if self.size == 1:
            return list(values)
        sent = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        distributed.broadcast(sent, src=0)
        return sent.tolist()

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes."""
        if self.size == 1:
            return
        bucket: list[torch.Tensor] = []
        size = 0
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            bucket.append(parameter.grad)
            size += parameter.grad.nbytes
            if size >= BUCKET_BYTES:
                _sum_bucket(bucket)
                bucket, size = [], 0
        if bucket:
            _sum_bucket(bucket)

    def have_lost_one(self, error: RuntimeError) -> bool:
        """Whether torch raised this because another process has ended, or does not answer."""
        return self.size > 1 and (isinstance(error, distributed.DistError) or "gloo" in str(error))

    def leave(self) -> None:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def is_launched() -> bool:
    """Whether torchrun started this process, perhaps as the only one."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def meet(rank: int, size: int) -> distributed.Store:  # pyright: ignore[reportPrivateImportUsage]
    """Wait for all processes. Returns the store through which they find each other.

    torch waits in C++, where a signal has no effect; so it does that in a thread, and signals act on this one.

    Raises:
        FabulaError: some have not come in time, or the address is wrong or taken.
    """
    found: list[distributed.Store] = []  # pyright: ignore[reportPrivateImportUsage]
    failed: list[Exception] = []

    def wait() -> None:
        try:
            store, _, _ = next(rendezvous("env://", rank, size, timeout=MEETING_TIMEOUT))
            store.set(f"fabula/{rank}", "here")
            store.wait([f"fabula/{each}" for each in range(size)], MEETING_TIMEOUT)
            found.append(store)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(timeout=0.2)
    if failed:
        raise FabulaError(
            f"the {size} processes of this training do not find each other",
            where=f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}",
            hint="start them with torchrun or accelerate launch",
        ) from failed[0]
    return found[0]


def _sum_bucket(gradients: list[torch.Tensor]) -> None:
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
