"""What a training needs: model, data, number format and sizes, made once from a job and never replaced."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from fabula.baseline.windows import TruncatedWindows
from fabula.defaults import MAX_TRAINING_CONTEXT
from fabula.errors import FabulaError
from fabula.models.device import free_memory_gb
from fabula.models.load import context_length_of, fuse_activations, load_model
from fabula.models.story_format import StoryFormat, find_story_format
from fabula.progress import OnProgress, Progress
from fabula.tokens.cache import TokenisedStories
from fabula.tokens.tokenizer import load_tokenizer
from fabula.tokens.windows import Windows
from fabula.training.attention import kernel_problem
from fabula.training.data import ValidationStories, make_fresh_base, training_tokens, validation_stories
from fabula.training.job import Job
from fabula.training.loss import StoryLoss, as_tensors
from fabula.training.memory import model_size
from fabula.training.precision import Precision
from fabula.training.recipe import Recipe
from fabula.training.sharding import shard
from fabula.training.weights import choose_trained, layers_of, optimizers_for, set_dropout
from fabula.training.workers import Workers

CPU_TOKENS = 1024
"""Tokens that go through the model at once on a CPU: more would only cost memory and page faults."""

LIMITED_STORY_TOKENS = 1024
"""Tokens of each held-out story that a training with a time limit scores: several beginnings choose the weights better than one
long story, which could take longer than the training."""

GPU_SHARE = 0.8
"""Share of a GPU's free memory that activations may fill."""


@dataclass(frozen=True)
class Sizes:
    """The numbers that follow from recipe, model and corpus.

    Attributes:
        context_length: positions in a window.
        num_parameters: of the model.
        num_trained: parameters that are trained.
        batch_size: windows in an optimiser step.
        steps_per_epoch: optimiser steps that use each window once.
        num_epochs: passes over the windows, unless a time limit ends the training first.
        num_steps: optimiser steps in all, unless a time limit ends the training first.
        learning_rate: at the peak.
    """

    context_length: int
    num_parameters: int
    num_trained: int
    batch_size: int
    steps_per_epoch: int
    num_epochs: float
    num_steps: int
    learning_rate: float


@dataclass(frozen=True)
class Setup:
    """What a training needs. Weights and optimisers change in place; nothing is replaced.

    Attributes:
        model: the model, inside a peft model if LoRA adapters are trained.
        loss: the loss of a batch of windows.
        optimizers: over the trained weights.
        trained: the trained weights.
    """

    job: Job
    workers: Workers
    tokenizer: Any
    story_format: StoryFormat
    model: Any
    loss: StoryLoss
    precision: Precision
    optimizers: list[torch.optim.Optimizer]
    trained: list[torch.nn.Parameter]
    windows: Windows | TruncatedWindows
    validation: ValidationStories
    sizes: Sizes

    @property
    def recipe(self) -> Recipe:
        return self.job.recipe

    @property
    def is_sharded(self) -> bool:
        """Whether each worker holds a part of the weights, and not all of them."""
        return _is_sharded(self.recipe, self.workers)

    @property
    def is_writer(self) -> bool:
        """Whether this worker saves checkpoints and writes samples: the first one, or all where weights are sharded."""
        return self.workers.is_first or self.is_sharded

    @property
    def writers(self) -> Workers:
        """The workers that read and write a checkpoint together."""
        return self.workers if self.is_sharded else self.workers.alone()

    @property
    def pad_id(self) -> int:
        return self.story_format.end_id

    def windows_of_step(self, step: int) -> list[int]:
        """Numbers of the windows of this step, in a new order each epoch."""
        epoch, at = divmod(step, self.sizes.steps_per_epoch)
        order = _order(self.job.seed, epoch, len(self.windows))
        return order[at * self.sizes.batch_size : (at + 1) * self.sizes.batch_size].tolist()

    def describe(self) -> str:
        """The training in one line."""
        sizes, windows = self.sizes, self.windows
        partly = sizes.num_trained != sizes.num_parameters
        trained = f" ({sizes.num_trained / 1e6:.1f} M trained)" if partly else ""
        return (
            f"{sizes.num_parameters / 1e6:.1f} M parameters{trained}, {windows.num_targets:,} story tokens in"
            f" {len(windows):,} windows of at most {sizes.context_length},"
            f" {'at most ' if self.job.limit else ''}{sizes.num_steps:,} steps of"
            f" {sizes.batch_size} {'window' if sizes.batch_size == 1 else 'windows'},"
            f" learning rate {sizes.learning_rate:.2g}"
        )


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, num_windows: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(num_windows)


def prepare(job: Job, workers: Workers, on_progress: OnProgress) -> Setup:
    """Make the setup of a job. All its random numbers follow from the job's seed."""
    fresh = job.base is None
    if fresh:
        if workers.is_first:
            make_fresh_base(job.base_folder, job.corpus, job.init, job.seed, on_progress)
        workers.barrier()
    recipe = job.recipe.for_model(model_size(job.base_folder), fresh=fresh)
    job = replace(job, recipe=recipe)
    tokenizer = load_tokenizer(job.base_folder)
    loss, precision, story_format, context_length, num_parameters, problem = _load(job, workers, tokenizer)
    on_progress(Progress("train", message=story_format.describe(tokenizer)))
    if problem is not None:
        on_progress(Progress("train", message=f"packed windows need a mask for attention, since {problem}"))
    model, on_cpu = loss.model, workers.device.type == "cpu"
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    num_trained = sum(parameter.numel() for parameter in trained)
    stories = training_tokens(job.corpus, tokenizer, story_format, recipe.markup, on_progress)
    windows = _windows(stories, recipe, context_length, loss.packs, story_format)
    most = None if job.limit is None else LIMITED_STORY_TOKENS
    validation = validation_stories(job.corpus, tokenizer, story_format, recipe.markup, job.seed, most)
    if len(windows) == 0:
        raise FabulaError("there is no story to train on", where=job.corpus.path)
    if len(validation) == 0:
        raise FabulaError("no story is held out for validation", where=job.corpus.path)
    for layer in layers_of(loss.inner) if recipe.compile else []:
        layer.compile()  # all share one program; the whole model with its loss would be compiled for many shapes
    batch_size = recipe.batch_size(len(windows), context_length, num_parameters, on_cpu=on_cpu)
    steps_per_epoch = math.ceil(len(windows) / batch_size)
    num_epochs = recipe.epochs(num_parameters, fresh)
    sizes = Sizes(
        context_length=context_length,
        num_parameters=num_parameters,
        num_trained=num_trained,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        num_epochs=num_epochs,
        num_steps=max(1, math.ceil(num_epochs * steps_per_epoch)),
        learning_rate=recipe.peak_learning_rate(num_trained, fresh),
    )
    return Setup(
        job=job,
        workers=workers,
        tokenizer=tokenizer,
        story_format=story_format,
        model=model,
        loss=loss,
        precision=precision,
        optimizers=optimizers_for(model, recipe, sizes.learning_rate),
        trained=trained,
        windows=windows,
        validation=validation,
        sizes=sizes,
    )


class _Loaded(NamedTuple):
    loss: StoryLoss
    precision: Precision
    story_format: StoryFormat
    context_length: int
    num_parameters: int
    attention_problem: str | None


def _load(job: Job, workers: Workers, tokenizer: Any) -> _Loaded:
    """The model with its loss, on the device, and what was measured on it."""
    recipe = job.recipe
    if not _is_sharded(recipe, workers):
        return _load_whole(job, workers.device, workers.device, tokenizer)
    mesh = workers.mesh(within_hosts=recipe.sharding == "hybrid")
    with workers.in_turn():  # each host then needs memory for one whole model
        loaded = _load_whole(job, torch.device("cpu"), workers.device, tokenizer)
        # On a CPU, validation computes in float32, with weights in float32.
        dtype = loaded.precision.dtype if workers.device.type == "cuda" else None
        shard(loaded.loss, mesh, layer_dtype=dtype)
    return loaded


def _load_whole(job: Job, place: torch.device, device: torch.device, tokenizer: Any) -> _Loaded:
    """The whole model at `place`, for a training on `device`."""
    recipe = job.recipe
    plain = load_model(job.base_folder, device=place)
    story_format = find_story_format(job.base_folder, tokenizer, plain)
    own_context = context_length_of(plain.config)
    wanted = recipe.context_length or (own_context if job.base is None else MAX_TRAINING_CONTEXT)
    context_length = min(own_context, wanted)
    num_parameters = plain.num_parameters()
    set_dropout(plain, recipe.dropout)
    fuse_activations(plain)
    if recipe.gradient_checkpointing:
        plain.activation_checkpointing_enable()
    torch.manual_seed(job.seed)  # LoRA adapters have random initial weights
    model = choose_trained(plain, recipe)
    precision = Precision.choose(recipe.precision, device)
    precision.choose_attention(plain, context_length)
    loss = StoryLoss(model)
    problem = attention_problem(loss, recipe, precision.dtype, device)
    return _Loaded(loss, precision, story_format, context_length, num_parameters, problem)


def attention_problem(
    loss: StoryLoss, recipe: Recipe, dtype: torch.dtype, device: torch.device
) -> str | None:
    """Let attention compute each segment on its own where torch has a fast kernel for it, which is on GPUs. Returns why a GPU
    has to use a mask instead, if it has to."""
    if device.type != "cuda" or not loss.packs or recipe.windows == "truncated":
        return None
    if recipe.dropout:
        return "torch's varlen kernel has no dropout"
    problem = kernel_problem(loss.inner.config, dtype, device)
    if problem is None and not loss.attend_by_segment():
        return "this architecture cannot use torch's varlen kernel"
    return problem


def _is_sharded(recipe: Recipe, workers: Workers) -> bool:
    return recipe.sharding != "none" and workers.size > 1


def _windows(
    stories: TokenisedStories, recipe: Recipe, context_length: int, packs: bool, story_format: StoryFormat
) -> Windows | TruncatedWindows:
    if recipe.windows == "truncated":
        return TruncatedWindows(stories, context_length, story_format.end_id)
    with_start = story_format.continued_with_start
    left_context = min(max(recipe.left_context, int(with_start)), context_length // 2)
    return Windows(
        stories,
        context_length,
        left_context=left_context,
        packed=recipe.windows == "packed" and packs,
        continued_start=story_format.start_id if with_start else None,
    )


def choose_micro_batch_size(setup: Setup) -> int:
    """How many windows go through the model at once: the recipe's number, or what suits the machine.

    On a GPU a step is tried with one window and with two, and the number follows from the memory that they took. (The first
    of three tries makes the gradients, which stay.) It is saved in the checkpoints, so that a resumed run adds up the same sums.
    """
    recipe, workers, sizes = setup.recipe, setup.workers, setup.sizes
    most = max(1, -(-sizes.batch_size // workers.size))
    if recipe.micro_batch_tokens is not None:
        return min(most, max(1, recipe.micro_batch_tokens // sizes.context_length))
    if workers.device.type != "cuda":
        return min(most, max(1, CPU_TOKENS // sizes.context_length))
    peaks = []
    for size in (1, 1, 2):
        torch.cuda.reset_peak_memory_stats()
        windows = list(range(min(size, len(setup.windows))))
        tensors = as_tensors(setup.windows.batch(windows, setup.pad_id), workers.device)
        with setup.precision.autocast():
            loss = setup.loss(*tensors)
        loss.backward()
        peaks.append(torch.cuda.max_memory_allocated())
    setup.model.zero_grad(set_to_none=True)
    each = max(1, peaks[2] - peaks[1])
    # AdamW's two means, which are not allocated yet.
    states = 8 * sizes.num_trained // setup.writers.size
    free = 1e9 * free_memory_gb() - peaks[1] - states
    return min(most, max(1, int(GPU_SHARE * free / each)))
