"""The memory of a training, estimated from its recipe and the size of its model."""

import math
from collections.abc import Collection
from pathlib import Path

from fabula.files import read_json
from fabula.models.check import weight_files
from fabula.training.recipe import ModelSize, Recipe

PROGRAM_GB = 2.1
"""Memory of the program, of the activations of 1,024 tokens and of the scores of 2,048: the use of SmolLM2-135M beyond its
weights in whole runs, rounded up (docs/training.md)."""

FREE_SHARE = 0.9
"""Share of the free memory that a training may plan to fill."""

LORA_PARAMETERS = 31
"""Approximate number of parameters of LoRA adapters for each unit of rank, per square root of the model's: an adapter has
as many as its matrix has rows and columns, times the rank."""

EMBEDDINGS = ("embed", "wte", "wpe")
"""What the names of embeddings contain."""


def memory_gb(recipe: Recipe, size: ModelSize, *, on_gpu: bool = False) -> float:
    """Memory of a training in one process at the most, in GB: 4 bytes a weight, 12 more for each that is trained (its
    gradient and AdamW's two means), and `PROGRAM_GB`. On a GPU, also 2 bytes for the copy of each weight in 16 bits that
    products read, or 4 for a trained output layer, whose gradient is there twice. It is the GPU's memory then.
    """
    num_parameters, num_embedded = size.num_parameters, size.num_embedded
    trained, recipe = float(num_parameters), recipe.for_model(size, fresh=False)
    if recipe.lora_rank:
        trained = LORA_PARAMETERS * recipe.lora_rank * num_parameters**0.5
    elif recipe.freeze:
        trained = (num_parameters - num_embedded) * (1 - recipe.freeze)
    copies = 0.0
    if on_gpu:
        copies = 2 * num_parameters + (2 * num_embedded if trained == num_parameters else 0)
    return (4 * num_parameters + 12 * trained + copies) / 1e9 + PROGRAM_GB


def sharded_memory_gb(recipe: Recipe, folder: Path, num_gpus: int) -> float:
    """Memory of each of the GPUs that FSDP divides the training of a model in a folder over, in GB: its part of the
    weights, gradients and AdamW's means, the embeddings and the output layer, which are whole during a step, each with
    its gradient if it is trained, and `PROGRAM_GB`."""
    size, num_whole = model_size(folder), model_size(folder, (*EMBEDDINGS, "lm_head")).num_embedded
    bytes_whole = num_whole * (4 if recipe.for_model(size, fresh=False).lora_rank else 8)
    return (memory_gb(recipe, size) - PROGRAM_GB) / num_gpus + bytes_whole / 1e9 + PROGRAM_GB


def smaller_recipe(recipe: Recipe, size: ModelSize, free_gb: float, *, on_gpu: bool = False) -> str | None:
    """The default recipe, which trains adapters for a large model, if it fits into so much free memory and this one does
    not; else None."""
    needed, least = (memory_gb(each, size, on_gpu=on_gpu) for each in (recipe, Recipe()))
    return "default" if least <= FREE_SHARE * free_gb < needed else None


def model_size(folder: Path, parts: Collection[str] = EMBEDDINGS) -> ModelSize:
    """The size of the model in a folder, from its configuration and the headers of its weight files. A tensor counts as
    embedded if its name has one of these parts."""
    from safetensors import safe_open

    total = embedded = 0
    for file in weight_files(folder):
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.offset_keys():
                count = math.prod(tensors.get_slice(name).get_shape())
                total += count
                if any(part in name for part in parts):
                    embedded += count
    return ModelSize(total, embedded, read_json(folder / "config.json").get("model_type", ""))
