"""Sharded training: several processes that each hold a part of the weights train as one process does."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from real_shapes import LLAMA_1B
from safetensors.torch import load_file
from tiny_models import make_model
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM

from fabula.errors import FabulaError
from fabula.progress import Progress
from fabula.training import clock, sharding
from fabula.training.loss import StoryLoss
from fabula.training.recipe import Recipe
from fabula.training.sharding import shard
from fabula.training.train import train
from fabula.training.weights import optimizers_for

QUICK = Recipe(
    num_epochs=2,
    batch_tokens=64 * 5,  # 5 windows are not split evenly over 2 or 4 processes
    context_length=64,
    learning_rate=1e-3,
    num_validations=2,
    validation_share=10,
    sample_tokens=8,
    precision="fp32",
)

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["fabula.training.loop", "fabula.corpus.store", "peft"])


def begin(num_processes: int, work: Callable[..., Any], *arguments: Any) -> Sequence[BaseProcess]:
    """Start `work` in processes that find each other as those of torchrun do: on two hosts if there are four."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        processes.Process(target=in_process, args=(rank, num_processes, port, work, *arguments))
        for rank in range(num_processes)
    ]
    for process in started:
        process.start()
    return started


def in_process(rank: int, size: int, port: int, work: Callable[..., Any], *arguments: Any) -> None:
    num_local = 2
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE=str(size),
        LOCAL_RANK=str(rank % num_local),
        LOCAL_WORLD_SIZE=str(num_local),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        TORCHELASTIC_RUN_ID="test",
    )
    torch.set_num_threads(1)
    work(*arguments)


def end(started: Sequence[BaseProcess]) -> None:
    for process in started:
        process.join(timeout=200)
    assert [process.exitcode for process in started] == [0] * len(started)


def train_in_process(corpus: Path, out: Path, base: Path, recipe: Recipe) -> None:
    train(corpus, out, base=base, recipe=recipe)


def train_until_killed(corpus: Path, out: Path, base: Path, recipe: Recipe) -> None:
    """The first process is killed during step 24, after checkpoints at the validations before it."""

    def kill(progress: Progress) -> None:
        if progress.done == 24:
            os.kill(os.getpid(), signal.SIGKILL)

    clock.VALIDATED_SHARE = 1e9  # no checkpoint is left out for its time
    sharding.FILE_BYTES = 1 << 14
    train(corpus, out, base=base, recipe=recipe, on_progress=kill)


def losses(model: Path) -> list[float]:
    rows = map(json.loads, (model / "log.jsonl").open())
    return [row.get("train_loss", row.get("val_loss")) for row in rows]


def assert_equal_models(one: Path, two: Path) -> None:
    """Equal files, losses within 1e-4 of each other, and weights that differ only in rounding."""
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    a, b = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(b[name], a[name], rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model("llama-grouped", tmp_path_factory.mktemp("base") / "llama")


@pytest.mark.parametrize(
    ("num_processes", "changes"),
    [
        (2, {"gradient_checkpointing": True, "keep": "last"}),
        (2, {"optimizer": "muon", "dropout": 0.0, "freeze": 0.34}),
        (4, {"lora_rank": 4, "batch_tokens": 64 * 3}),
    ],
    ids=["all-weights", "muon-frozen", "lora"],
)
def test_sharded_over_several_processes_it_trains_as_one_does(
    tiny_corpus_dir: Path, base: Path, tmp_path: Path, num_processes: int, changes: dict[str, Any]
):
    recipe = QUICK.model_copy(update=changes)
    alone = train(tiny_corpus_dir, tmp_path / "one", base=base, recipe=recipe)
    sharded = recipe.model_copy(update={"sharding": "full"})
    end(begin(num_processes, train_in_process, tiny_corpus_dir, tmp_path / "many", base, sharded))
    assert_equal_models(alone.model, tmp_path / "many")
    assert not (tmp_path / "many.checkpoints").exists()


LONGER = QUICK.model_copy(update={"num_epochs": 6.0, "num_validations": 6, "patience": 0})
LONGER_SHARDED = LONGER.model_copy(update={"sharding": "hybrid"})


@pytest.fixture(scope="module")
def killed(tiny_corpus_dir: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model "one" of a single process, and the checkpoints of "many", of which the newest is damaged."""
    folder = tmp_path_factory.mktemp("killed")
    train(tiny_corpus_dir, folder / "one", base=base, recipe=LONGER)
    started = begin(2, train_until_killed, tiny_corpus_dir, folder / "many", base, LONGER_SHARDED)
    started[0].join(timeout=200)
    assert started[0].exitcode == -signal.SIGKILL
    started[1].kill()
    started[1].join()
    newest = max((folder / "many.checkpoints").glob("*/step-*[0-9]"))
    parts = sorted(newest.rglob("weights/*.safetensors"))
    assert {part.name[:11] for part in parts} == {"shard-00001", "shard-00002"}  # each process wrote its own
    assert len(parts) > 2
    parts[-1].write_bytes(parts[-1].read_bytes()[:-1])
    return folder


@pytest.mark.parametrize("num_processes", [4, 1])
def test_killed_and_resumed_by_another_number_of_processes_it_ends_the_same(
    killed: Path, tiny_corpus_dir: Path, base: Path, tmp_path: Path, num_processes: int
):
    shutil.copytree(killed / "many.checkpoints", tmp_path / "many.checkpoints")
    end(begin(num_processes, train_in_process, tiny_corpus_dir, tmp_path / "many", base, LONGER_SHARDED))
    assert_equal_models(killed / "one", tmp_path / "many")


def test_one_process_says_what_to_type(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    with pytest.raises(FabulaError, match="only one") as caught:
        train(tiny_corpus_dir, tmp_path / "m", base=tiny_gpt2_dir, recipe=Recipe(sharding="full"))
    assert "--nproc-per-node 2 -m fabula train" in str(caught.value)


def compare_formats(corpus: Path, base: Path, out: Path) -> None:
    """The gradients of a step in bfloat16, of weights that are gathered in bfloat16, and of whole ones."""
    from fabula.progress import silent
    from fabula.training.job import plan
    from fabula.training.setup import prepare
    from fabula.training.step import compute_gradients
    from fabula.training.workers import Workers

    workers = Workers.join()
    recipe = QUICK.model_copy(update={"precision": "bf16", "max_grad_norm": 0.0})
    job = plan(corpus, out / "model", base=base, recipe=recipe)
    whole = compute_gradients(prepare(job, workers, silent), 0, 2, lambda: False)
    setup = prepare(job, workers.alone(), silent)
    shard(setup.loss, workers.mesh(within_hosts=False), layer_dtype=torch.bfloat16)
    setup = dataclasses.replace(
        setup,
        job=dataclasses.replace(job, recipe=recipe.model_copy(update={"sharding": "full"})),
        workers=workers,
        trained=list(setup.model.parameters()),
        optimizers=[],
    )
    split = compute_gradients(setup, 0, 2, lambda: False)
    assert split.loss_sum == pytest.approx(whole.loss_sum, rel=2e-3)
    assert split.norm == pytest.approx(whole.norm, rel=2e-2)
    dtypes = {parameter.grad.dtype for parameter in setup.trained if parameter.grad is not None}
    assert dtypes == {torch.float32}
    workers.leave()


def test_layers_gathered_in_bfloat16_have_the_same_gradients(
    tiny_corpus_dir: Path, base: Path, tmp_path: Path
):
    end(begin(2, compare_formats, tiny_corpus_dir, base, tmp_path))


@pytest.fixture
def eight_fake_processes() -> Iterator[None]:
    """This process as the first of eight, whose messages lead nowhere."""
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=8)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("eight_fake_processes")
def test_weights_gradients_and_adamw_take_16_bytes_a_parameter_divided_by_the_processes():
    """The real shape of Llama 3.2 1B, with tensors that have sizes but no memory."""
    mesh = init_device_mesh("cpu", (8,))
    with FakeTensorMode():
        model: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(**LLAMA_1B))
        loss = StoryLoss.__new__(StoryLoss)  # without its check, which needs numbers
        torch.nn.Module.__init__(loss)
        loss.model = model
        shard(loss, mesh)
        (optimizer,) = optimizers_for(model, Recipe(), learning_rate=1e-4)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        weights = list(model.parameters())
        means = [value for state in optimizer.state.values() for value in state.values()]
        held = [*weights, *(weight.grad for weight in weights), *means]
        num_bytes = sum(each.to_local().nbytes if isinstance(each, DTensor) else each.nbytes for each in held)
    assert num_bytes == pytest.approx(16 * 1_235_814_400 / 8, rel=1e-4)
