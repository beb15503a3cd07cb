"""Several processes: what one of them decides, all decide."""

import dataclasses
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]
from torch.distributed.tensor import DTensor

from fabula.errors import FabulaError
from fabula.files import hash_file
from fabula.progress import Progress
from fabula.training import interrupt
from fabula.training.job import plan
from fabula.training.recipe import Recipe
from fabula.training.train import train
from fabula.training.workers import Workers

QUICK = Recipe(batch_tokens=256, context_length=64, precision="fp16", max_grad_norm=0)

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["fabula.training.loop", "fabula.corpus.store", "peft"])


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, put together if it is split over the workers."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def one_of_two(rank: int, port: int) -> dict[str, str]:
    """The variables that torchrun would set."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def overflow_in_one_worker(
    corpus: Path, base: Path, out: Path, sharding: Literal["none", "full"], rank: int, port: int
) -> None:
    """Two steps of two workers in float16; in the first one the gradients of worker 1 overflow."""
    os.environ.update(one_of_two(rank, port))
    from safetensors.torch import save_file

    from fabula.progress import silent
    from fabula.training.setup import prepare
    from fabula.training.step import compute_gradients, update_weights
    from fabula.training.weights import trained_weights

    workers = Workers.join()
    recipe = QUICK.model_copy(update={"sharding": sharding})
    setup = prepare(plan(corpus, out / "model", base=base, recipe=recipe), workers, silent)
    scales = []
    for step in range(2):
        factor = 1e30 if step == 0 and rank == 1 else 1.0
        scaled = dataclasses.replace(
            setup, loss=lambda *tensors, factor=factor: factor * setup.loss(*tensors)
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
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, sharding: str, port: int
):
    workers = [
        processes.Process(
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


def train_and_kill_the_other(corpus: Path, base: Path, out: Path, rank: int, port: int) -> None:
    """The first worker kills the second one after step 3, and must then end by itself."""
    os.environ.update(one_of_two(rank, port))
    (out / f"{rank}.pid").write_text(str(os.getpid()))

    def kill(progress: Progress) -> None:
        if progress.done == 3 and progress.unit == "steps":
            os.kill(int((out / "1.pid").read_text()), signal.SIGKILL)

    recipe = QUICK.model_copy(update={"precision": "fp32", "num_epochs": 50.0})
    with pytest.raises(FabulaError, match="another process of this training has ended"):
        train(corpus, out / "model", base=base, recipe=recipe, on_progress=kill)
    (out / "ended").touch()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_worker_ends_when_another_one_was_killed(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, port: int
):
    arguments = (tiny_corpus_dir, tiny_gpt2_dir, tmp_path)
    workers = [
        processes.Process(target=train_and_kill_the_other, args=(*arguments, rank, port)) for rank in (0, 1)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert [worker.exitcode for worker in workers] == [0, -signal.SIGKILL]
    assert (tmp_path / "ended").exists()


def train_and_halt_the_other(
    corpus: Path, base: Path, out: Path, patience: float, rank: int, port: int
) -> None:
    """The first worker halts the second one after step 3, and is asked to stop while it waits for that one."""
    os.environ.update(one_of_two(rank, port))
    (out / f"{rank}.pid").write_text(str(os.getpid()))
    interrupt.PATIENCE = patience

    def halt(progress: Progress) -> None:
        if progress.done == 3 and progress.unit == "steps":
            os.kill(int((out / "1.pid").read_text()), signal.SIGSTOP)
            (out / "halted").touch()

    recipe = QUICK.model_copy(update={"precision": "fp32", "num_epochs": 50.0})
    train(corpus, out / "model", base=base, recipe=recipe, on_progress=halt)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
@pytest.mark.parametrize(("patience", "num_signals"), [(0.5, 1), (1000, 2)])
def test_a_worker_that_waits_for_one_that_hangs_can_be_stopped(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, port: int, patience: float, num_signals: int
):
    arguments = (tiny_corpus_dir, tiny_gpt2_dir, tmp_path, patience)
    workers = [
        processes.Process(target=train_and_halt_the_other, args=(*arguments, rank, port)) for rank in (0, 1)
    ]
    for worker in workers:
        worker.start()
    try:
        while not (tmp_path / "halted").exists() and workers[0].is_alive():
            workers[0].join(timeout=0.1)
        for _ in range(num_signals):
            workers[0].join(timeout=1)
            workers[0].terminate()
        workers[0].join(timeout=60)
        assert workers[0].exitcode == 130
    finally:
        for worker in workers:
            worker.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGTERM")
def test_a_worker_that_waits_for_the_first_one_can_be_stopped(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, port: int
):
    store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    command = [sys.executable, "-m", "fabula", "train", str(tiny_corpus_dir), "--base", str(tiny_gpt2_dir)]
    waiting = subprocess.Popen(
        [*command, "--out", str(tmp_path / "model"), "--quiet"], env=os.environ | one_of_two(1, port)
    )
    try:
        store.wait(["fabula/1"], timedelta(seconds=120))
        waiting.terminate()
        assert waiting.wait(timeout=30) == 130
    finally:
        waiting.kill()


def test_processes_that_do_not_find_each_other_are_one_clear_line(port: int, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", port))
        taken.listen()
        for name, value in one_of_two(0, port).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(FabulaError, match=f"127.0.0.1:{port}: the 2 processes"):
            Workers.join()
