"""Recipes: all hyperparameters of a training, in one record."""

import math
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Literal

from pydantic import Field

from fabula.config import Record, read_toml
from fabula.errors import FabulaError, did_you_mean

WARMUP_SHARE = 0.05
"""Share of the training in which the learning rate rises, if the recipe does not set warmup_steps."""

LARGE = 50_000_000
"""Models with at least this many parameters get the batch size, the epochs and the adapters of a large model."""

LORA_RANK = 32
"""Rank of the adapters of a large base model."""

WITHOUT_ADAPTERS = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
"""Architectures whose layers peft refuses to adapt."""


@dataclass(frozen=True)
class ModelSize:
    """What decides how a model is trained and how much memory that takes.

    Attributes:
        num_embedded: number of the parameters that are in the embeddings.
        model_type: the architecture, as its config.json names it; "" if that is not known.
    """

    num_parameters: int
    num_embedded: int = 0
    model_type: str = ""


class Recipe(Record):
    """How a model is trained. A field that is not set gets its value from the rule in its description.

    The reason for each default is in docs/training.md.
    """

    markup: Literal["newline", "notebook"] = Field(
        default="newline",
        description="Markup of a story for the model: 'newline' puts the model's own start and end token around"
        " it; 'notebook' spells the markers <sos>, <nl> and <eos> out as text.",
    )
    windows: Literal["packed", "separate", "truncated"] = Field(
        default="packed",
        description="'packed' fills windows with whole stories and parts of long ones; 'separate' gives each part its"
        " own window; 'truncated' cuts stories off, pads them, and counts the padding (like the notebook baseline).",
    )
    context_length: int | None = Field(
        default=None,
        ge=8,
        description="Tokens per window; not set: the whole context of a fresh model, or a base model's own up to 512.",
    )
    left_context: int = Field(
        default=32,
        ge=0,
        description="Tokens of a long story that its next window repeats as context, which do not count in the loss.",
    )
    batch_tokens: int | None = Field(
        default=None,
        ge=8,
        description="Tokens per optimiser step; not set: 2048, or with 50 million parameters or more 512 on a CPU, and on a GPU"
        " a hundredth of an epoch, within 512 and 4096.",
    )
    num_epochs: float | None = Field(
        default=None,
        gt=0,
        description="Number of passes over the stories; not set: 12 for a fresh model, 3 for a base model below"
        " 50 million parameters, 1 for a larger one.",
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Peak learning rate; not set: computed from the number of trained parameters N as 0.001 (N / 2.5e6)^-0.4"
        " for a base model, 2.6 times that for LoRA adapters, four times that for a fresh model, within 5e-5 and 2e-3.",
    )
    schedule: Literal["linear", "cosine", "cooldown", "constant"] = Field(
        default="linear",
        description="The learning rate after the warm-up: it falls to zero linearly or as half a cosine, stays constant and falls in"
        " the last fifth ('cooldown', 1 - sqrt), or stays constant.",
    )
    warmup_steps: int | None = Field(
        default=None,
        ge=0,
        description="Steps in which the learning rate rises from zero; not set: one step in twenty.",
    )
    optimizer: Literal["adamw", "muon"] = Field(
        default="adamw",
        description="'muon' updates the matrices inside the layers with Muon, and the rest with AdamW.",
    )
    weight_decay: float = Field(
        default=0.01, ge=0, le=10, description="Weight decay of matrices and embeddings."
    )
    beta1: float = Field(
        default=0.9, ge=0, lt=1, description="AdamW's decay rate for the mean of the gradient."
    )
    beta2: float = Field(
        default=0.99, ge=0, lt=1, description="AdamW's decay rate for the mean of the squared gradient."
    )
    epsilon: float = Field(
        default=1e-8, gt=0, le=1, description="AdamW's constant that prevents division by zero."
    )
    max_grad_norm: float = Field(
        default=1.0, ge=0, description="Gradients with a larger norm are clipped to this norm; 0 for never."
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of activations that are set to zero at random in training.",
    )
    freeze: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the layers to freeze, from the lowest on; the embeddings are then frozen too.",
    )
    lora_rank: int | None = Field(
        default=None,
        ge=0,
        description="Train a LoRA adapter of this rank for each matrix of the layers that are not frozen; 0 trains the"
        " matrices. Not set: 32 for a base model with 50 million parameters or more, unless layers are frozen; else 0.",
    )
    lora_alpha: int | None = Field(
        default=None,
        ge=1,
        description="The adapters are scaled by lora_alpha / lora_rank; not set: twice the rank.",
    )
    num_validations: int = Field(
        default=8,
        ge=1,
        description="Number of validations, spread evenly over the training; fewer if the time is"
        " limited and they would take more than validation_share of it.",
    )
    validation_share: float = Field(
        default=0.1,
        gt=0,
        le=10,
        description="Scoring held-out stories may take about this share of the training time; if all of them would"
        " take longer, only as many complete stories as fit are scored.",
    )
    sample_tokens: int = Field(
        default=40,
        ge=0,
        description="Tokens of a sample story that is written at each validation of a trained model; 0 for none.",
    )
    patience: int = Field(
        default=3,
        ge=0,
        description="Stop after this many consecutive validations that were worse both than the one before and than the best; 0 for never.",
    )
    keep: Literal["best", "last"] = Field(
        default="best",
        description="Which weights become the model: those of the best validation, or the last.",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="'auto' is bf16 if the CPU or the GPU supports it, or else fp32 on a CPU and fp16 on a GPU.",
    )
    micro_batch_tokens: int | None = Field(
        default=None,
        ge=8,
        description="Tokens that go through the model at once; affects only memory and speed, since gradients are"
        " summed up to batch_tokens. Not set: what suits the machine.",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Compute activations twice to save memory; training is a third slower."
    )
    sharding: Literal["none", "full", "hybrid"] = Field(
        default="none",
        description="For models that do not fit one GPU: 'full' splits weights, gradients and optimiser state over all"
        " processes that torchrun started; 'hybrid' over those of each host, so that each host holds one copy.",
    )
    compile: bool = Field(
        default=False,
        description="Compile the model's layers with torch.compile; worthwhile only on a GPU in long runs.",
    )

    def for_model(self, size: ModelSize, *, fresh: bool) -> "Recipe":
        """This recipe with its `lora_rank`: adapters for a large base model, where they learn more in the same time.

        Raises:
            FabulaError: the recipe asks for adapters in an architecture that cannot have them.
        """
        if self.lora_rank and size.model_type in WITHOUT_ADAPTERS:
            raise FabulaError(
                f"a model of the type {size.model_type} cannot have adapters",
                where="lora_rank",
                hint="leave it out, and all weights are trained",
            )
        if self.lora_rank is not None:
            return self
        is_whole = fresh or self.freeze or size.num_parameters < LARGE or size.model_type in WITHOUT_ADAPTERS
        return self.model_copy(update={"lora_rank": 0 if is_whole else LORA_RANK})

    def batch_size(self, num_windows: int, context_length: int, num_parameters: int, *, on_cpu: bool) -> int:
        """Windows in an optimiser step, of so many in an epoch.

        Small steps are better for a large model, but a GPU takes hardly longer for larger ones.
        """
        tokens = self.batch_tokens or 2048
        if self.batch_tokens is None and num_parameters >= LARGE:
            tokens = 512 if on_cpu else min(max(num_windows * context_length / 100, 512), 4096)
        return max(1, round(tokens / context_length))

    def epochs(self, num_parameters: int, fresh: bool) -> float:
        """Number of epochs. More make a base model worse, a large one after the first."""
        if self.num_epochs is not None:
            return self.num_epochs
        return 12.0 if fresh else 3.0 if num_parameters < LARGE else 1.0

    def peak_learning_rate(self, num_parameters: int, fresh: bool) -> float:
        """The learning rate after the warm-up, for a model with this many trained parameters."""
        if self.learning_rate is not None:
            return self.learning_rate
        factor = 4 if fresh else 2.6 if self.lora_rank else 1
        return min(max(factor * 1e-3 * (num_parameters / 2.5e6) ** -0.4, 5e-5), 2e-3)

    def learning_rate_factor(self, progress: float, step: int, num_steps: float) -> float:
        """Learning rate at this step as a share of its peak, when `progress` (0 to 1) of the training is done.

        Without a limit in minutes `progress` is step / num_steps.

        >>> round(Recipe(warmup_steps=10, schedule="linear").learning_rate_factor(0.55, 55, 100), 6)
        0.5
        """
        begun = WARMUP_SHARE if self.warmup_steps is None else min(1.0, self.warmup_steps / num_steps)
        if self.warmup_steps is None and progress < begun:
            return min(1.0, (progress + 1 / num_steps) / begun)
        if self.warmup_steps is not None and step < self.warmup_steps:
            return step / self.warmup_steps
        after = 1.0 if begun == 1.0 else min(1.0, max(0.0, (progress - begun) / (1 - begun)))
        if self.schedule == "linear":
            return 1 - after
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * after))
        if self.schedule == "cooldown":
            return 1.0 if after < 0.8 else 1 - math.sqrt((after - 0.8) / 0.2)
        return 1.0


RECIPES = Path(str(package_files("fabula") / "training" / "recipes"))


def recipe_names() -> list[str]:
    """Names of the recipes that come with fabula."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str | Path) -> Recipe:
    """A recipe that comes with fabula ("default", "full", "notebook"), or one in a TOML file. Fields that are to differ may
    follow: "default,num_epochs=3".

    Raises:
        FabulaError: there is no such recipe or file, a field is unknown, or a value is out of range.
    """
    text = str(name)
    start, *changes = [text] if Path(text).is_file() else text.split(",")
    if start in recipe_names():
        path = RECIPES / f"{start}.toml"
    elif start.endswith(".toml") or Path(start).is_file():
        path = Path(start)
    else:
        raise FabulaError(
            f"unknown recipe {start!r}", hint=f"{did_you_mean(start, recipe_names())} (or name a .toml file)"
        )
    pairs = (change.partition("=") for change in changes)
    changed = {field.strip(): value.strip() for field, _, value in pairs}
    return Recipe.parse(read_toml(path) | changed, where=name if changes else path)
