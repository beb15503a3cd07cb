"""Several processes: what one of them decides, all decide."""

import dataclasses
import multiprocessing
import os
import socket
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch.distributed.tensor import DTensor

from fabula.files import hash_file
from fabula.training.job import plan
from fabula.training.recipe import Recipe

QUICK = Recipe(batch_tokens=256, context_length=64, precision="fp16", max_grad_norm=0)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, put together if it is split over the workers."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def overflow_in_one_worker(
    corpus: Path, base: Path, out: Path, sharding: Literal["none", "full"], rank: int, port: int
) -> None:
    """Two steps of two workers in float16; in the first one the gradients of worker 1 overflow."""
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1"
    )
    from safetensors.torch import save_file

    from fabula.progress import silent
    from fabula.training.setup import prepare
    from fabula.training.step import compute_gradients, update_weights
    from fabula.training.weights import trained_weights
    from fabula.training.workers import Workers

    workers = Workers.join()
    recipe = QUICK.model_copy(update={"sharding": sharding})
    setup = prepare(plan(corpus, out / "model", base=base, recipe=recipe), workers, silent)
    scales = []
    for step in range(2):
        factor = 1e30 if step == 0 and rank == 1 else 1.0
        scaled = dataclasses.replace(
            setup, step_loss=lambda *tensors, factor=factor: factor * setup.loss(*tensors)
        )
        compute_gradients(scaled, step, 1, lambda: False)
        update_weights(scaled, 1e-3)
        scales.append(setup.precision.scale())
        weights = {name: whole(tensor) for name, tensor in trained_weights(setup.model).items()}
        save_file(weights, out / f"worker-{rank}-step-{step}.safetensors")
    assert scales[0] < 65536  # it was scaled less after the overflow
    workers.leave()


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_in_float16_all_workers_skip_the_same_steps(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, sharding: str
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(
            target=overflow_in_one_worker,
            args=(tiny_corpus_dir, tiny_gpt2_dir, tmp_path, sharding, rank, port),
        )
        for rank in (0, 1)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    from safetensors.torch import load_file

    hashes = {
        (rank, step): hash_file(tmp_path / f"worker-{rank}-step-{step}.safetensors")
        for rank in (0, 1)
        for step in (0, 1)
    }
    assert hashes[0, 0] == hashes[1, 0]
    assert hashes[0, 1] == hashes[1, 1]
    before = load_file(tiny_gpt2_dir / "model.safetensors")
    skipped, stepped = (load_file(tmp_path / f"worker-0-step-{step}.safetensors") for step in (0, 1))
    assert all(torch.equal(before[name], skipped[name]) for name in before)
    assert not all(torch.equal(before[name], stepped[name]) for name in before)
