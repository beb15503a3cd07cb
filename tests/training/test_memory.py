"""The recipe that fits into the free memory."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from real_shapes import GPT2, LLAMA_1B, LLAMA_8B, SMOLLM2
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM
from typer.testing import CliRunner

from fabula.cli.app import app, register
from fabula.models.find import BUNDLED_TINY
from fabula.models.load import fuse_activations, load_model
from fabula.training import memory
from fabula.training.loss import StoryLoss
from fabula.training.memory import (
    FREE_SHARE,
    PROGRAM_GB,
    memory_gb,
    model_size,
    sharded_memory_gb,
    smaller_recipe,
)
from fabula.training.recipe import ModelSize, Recipe, load_recipe
from fabula.training.weights import layers_of, set_dropout

SMOLLM2_SIZE = ModelSize(134_515_008, 28_311_552, "llama")


def test_adapters_need_less_memory_than_all_weights():
    full, adapters = (memory_gb(load_recipe(name), SMOLLM2_SIZE) for name in ("full", "default"))
    assert adapters < 4 < full < 8


def test_a_base_that_takes_no_adapters_needs_the_memory_of_all_weights():
    mamba = ModelSize(134_515_008, 28_311_552, "mamba")
    assert memory_gb(Recipe(), mamba) == memory_gb(load_recipe("full"), mamba)
    assert smaller_recipe(load_recipe("full"), mamba, 3.5) is None


@pytest.mark.parametrize(("free_gb", "expected"), [(8, None), (4.8, None), (3.5, "default"), (1, None)])
def test_the_default_recipe_is_named_where_the_asked_one_does_not_fit(free_gb: float, expected: str | None):
    assert smaller_recipe(load_recipe("full"), SMOLLM2_SIZE, free_gb) == expected


SHAPES = {"gpt2": GPT2, "smollm2": SMOLLM2, "llama-1b": LLAMA_1B, "llama-8b": LLAMA_8B}


def shaped(kind: str) -> Any:
    """The model of this shape, made in a mode or on a device where tensors have no memory."""
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(**SHAPES[kind]))


CONTEXT_LENGTH = 512
CUDA_CONTEXT = 0.5e9
"""Bytes that the driver and the libraries take on a GPU, about."""


def bytes_for_backward(loss: StoryLoss, num_windows: int) -> int:
    """Bytes, weights apart, that the backward pass of so many windows reads, in bfloat16."""
    shape = (num_windows, CONTEXT_LENGTH)
    weights = {weight.untyped_storage()._cdata for weight in loss.parameters()}
    sizes: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            sizes[storage._cdata] = storage.nbytes()
        return tensor

    ids = torch.zeros(shape, dtype=torch.long)
    every = torch.arange(ids.numel())
    hooks = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16):
        _kept_alive = loss(ids, ids, torch.ones_like(ids), torch.zeros(1), every, ids.flatten())
    return sum(sizes.values())


@pytest.mark.parametrize(
    ("kind", "num_parameters", "saved_per_layer"),
    [("gpt2", 124_439_808, 38), ("smollm2", 134_515_008, 58), ("llama-1b", 1_235_814_400, 67)],
)
def test_the_estimate_for_a_gpu_covers_weights_gradients_adamw_and_a_window(
    kind: str, num_parameters: int, saved_per_layer: float
):
    """The real shapes. For each token and layer, in units of its width, the backward pass reads 38 bytes in GPT-2 (Korthikanti
    et al. 2022, arXiv:2205.05198, have 34 with dropout), and more in Llama, whose normalisation and gates keep more."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = shaped(kind)
        set_dropout(model, 0.0)
        fuse_activations(model)
        assert model.num_parameters() == num_parameters
        num_embedded = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Embedding))
        loss = StoryLoss.__new__(StoryLoss)  # without its check, which needs numbers
        torch.nn.Module.__init__(loss)
        loss.model, loss.fused, loss.packs = model.train(), True, True
        one, two = (bytes_for_backward(loss, count) for count in (1, 2))
    config, window = model.config, two - one
    per_layer = window / CONTEXT_LENGTH / config.num_hidden_layers / config.hidden_size
    assert per_layer == pytest.approx(saved_per_layer, rel=0.02)
    # In 16 bits and in float32, and their gradient in 16 bits.
    logits = 8 * CONTEXT_LENGTH * config.vocab_size
    by_hand = (16 * num_parameters + one + logits + CUDA_CONTEXT) / 1e9
    estimate = memory_gb(load_recipe("full"), ModelSize(num_parameters, num_embedded), on_gpu=True)
    assert 0.98 * by_hand < estimate < by_hand + 1.5


@pytest.mark.parametrize("kind", ["gpt2", "smollm2", "llama-1b", "llama-8b"])
def test_the_number_of_parameters_of_lora_adapters_is_estimated(kind: str):
    with torch.device("meta"):
        model = shaped(kind)
    num_parameters = model.num_parameters()
    matrices = [
        weight
        for module in layers_of(model)
        for weight in module.parameters()
        if weight.ndim == 2  # (out, in), or in GPT-2 (in, out)
    ]
    exact = 4 * num_parameters + 12 * 16 * sum(sum(weight.shape) for weight in matrices)
    estimate = memory_gb(Recipe(lora_rank=16), ModelSize(num_parameters)) - PROGRAM_GB
    assert exact / 1e9 <= estimate <= exact / 1e9 + 0.1


def test_parameters_are_counted_without_loading_the_model():
    model = load_model(BUNDLED_TINY)
    embeddings = model.transformer.wte.weight.numel() + model.transformer.wpe.weight.numel()
    assert model_size(BUNDLED_TINY) == ModelSize(model.num_parameters(), embeddings, "gpt2")


def test_doctor_names_the_recipe_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "stories.txt"
    path.write_text("".join(f"<sos> Story {n} of a fox. <nl> It ends. <eos>\n" for n in range(20)))
    monkeypatch.setattr("fabula.training.recipe.LARGE", 0)
    size = model_size(BUNDLED_TINY)
    full, adapters = (memory_gb(load_recipe(name), size) for name in ("full", "default"))
    register()

    def say(needed: float) -> str:
        free = int(needed / FREE_SHARE * 1e9)
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free, total=8e9))
        result = CliRunner().invoke(app, ["doctor", str(path), "--base", "tiny", "--recipe", "full"])
        assert result.exit_code == 0, result.output
        return result.output

    assert "fits       --recipe default" in say((full + adapters) / 2)
    assert "choose a smaller base model" in say(0.1)


@pytest.mark.parametrize(
    ("recipe", "num_gpus", "expected"), [("full", 2, 12), ("full", 8, 5), ("default", 2, 4)]
)
def test_each_gpu_has_its_part_of_a_sharded_model(
    recipe: str, num_gpus: int, expected: float, monkeypatch: pytest.MonkeyPatch
):
    """Llama 3.2 1B, whose figures stand in docs/scale.md."""
    size = ModelSize(1_235_814_400, 262_668_288, "llama")
    monkeypatch.setattr(memory, "model_size", lambda *_: size)
    needed = sharded_memory_gb(load_recipe(recipe), Path("anywhere"), num_gpus)
    assert round(needed - PROGRAM_GB) == expected
