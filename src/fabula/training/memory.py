"""The memory of a training, estimated from its recipe and the size of its model."""

import math
from pathlib import Path

from fabula.models.check import weight_files
from fabula.training.recipe import Recipe

PROGRAM_GB = 2.1
"""Memory of the program, of the activations of 1,024 tokens and of the scores of 2,048: the use of SmolLM2-135M beyond its
weights in whole runs, rounded up (docs/training.md)."""

FREE_SHARE = 0.9
"""Share of the free memory that a training may plan to fill."""

LORA_SHARE = 0.0025
"""Approximate number of parameters of LoRA adapters per parameter of the model and unit of rank."""


def memory_gb(recipe: Recipe, num_parameters: int, num_embedded: int) -> float:
    """Memory of a training at the most, in GB: 4 bytes a weight, 12 more for each that is trained (its gradient and
    AdamW's two means), and `PROGRAM_GB`.

    Args:
        num_parameters: of the model.
        num_embedded: of them in the embeddings.
    """
    trained, recipe = float(num_parameters), recipe.for_model(num_parameters, fresh=False)
    if recipe.lora_rank:
        trained *= LORA_SHARE * recipe.lora_rank
    elif recipe.freeze:
        trained = (num_parameters - num_embedded) * (1 - recipe.freeze)
    return (4 * num_parameters + 12 * trained) / 1e9 + PROGRAM_GB


def smaller_recipe(recipe: Recipe, num_parameters: int, num_embedded: int, free_gb: float) -> str | None:
    """The default recipe, which trains adapters for a large model, if it fits into so much free memory and this one does
    not; else None."""
    needed, least = (memory_gb(each, num_parameters, num_embedded) for each in (recipe, Recipe()))
    return "default" if least <= FREE_SHARE * free_gb < needed else None


def count_parameters(folder: Path) -> tuple[int, int]:
    """Parameters of the model in a folder, and those of its embeddings, from the headers of its weight files."""
    from safetensors import safe_open

    total = embedded = 0
    for file in weight_files(folder):
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.offset_keys():
                size = math.prod(tensors.get_slice(name).get_shape())
                total += size
                if any(part in name for part in ("embed", "wte", "wpe")):
                    embedded += size
    return total, embedded
