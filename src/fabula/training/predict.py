"""Predicts what a training will take: time, memory and disk, measured on a few steps of it."""

import contextlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fabula.corpus.clean import clean
from fabula.corpus.options import CleaningOptions, WorkerOptions
from fabula.corpus.read import open_stories
from fabula.corpus.store import open_corpus
from fabula.defaults import RECIPE
from fabula.errors import FabulaError
from fabula.files import MANIFEST
from fabula.models.check import weight_files
from fabula.models.find import default_base, find_model
from fabula.progress import silent
from fabula.training.memory import memory_gb, model_size, smaller_recipe
from fabula.training.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from fabula.training.setup import Setup

VALIDATION_SHARE = 0.1
"""Share of the stories that cleaning will hold out, for stories that are not clean yet."""

SAMPLE_CHARACTERS = 500_000
"""Length of the text that the measured steps train on, and from which tokens per character are estimated."""

SCRATCH_FACTOR = 10
"""A checkpoint and the best weights take at most this many times the base's bytes (16 per weight; a base has 2 or
4)."""

MIN_STEPS, MAX_STEPS = 3, 50
MEASURED_SECONDS = 5.0
"""Steps are measured for this long, within these bounds."""


@dataclass(frozen=True)
class TrainingPrediction:
    """What a training is expected to take.

    Attributes:
        num_stories: stories in all, held-out ones included.
        num_tokens: training tokens in an epoch.
        num_parameters: of the model.
        num_steps: optimiser steps.
        tokens_per_second: training tokens, as measured.
        seconds: of training, validation included.
        memory_gb: peak memory of the process (on a GPU: of the GPU).
        smaller_recipe: the recipe for little memory that fits, if the one that was asked for does not; then the other
            figures but `memory_gb` are those of this recipe. None if the asked one fits, or if none does.
        smaller_memory_gb: its peak memory; None if there is no such recipe.
        disk_gb: checkpoints and model together, at most.
        free_memory_gb, free_disk_gb: what is free on this machine now (on a GPU: of the GPU).
        device: the device that the training would run on.
    """

    num_stories: int
    num_tokens: int
    num_parameters: int
    num_steps: int
    tokens_per_second: float
    seconds: float
    memory_gb: float
    smaller_recipe: str | None
    smaller_memory_gb: float | None
    disk_gb: float
    free_memory_gb: float
    free_disk_gb: float
    device: str


@dataclass(frozen=True)
class StorySample:
    """The first texts of a set of stories, and its size.

    Attributes:
        texts: the first texts, about `SAMPLE_CHARACTERS`.
        num_stories, num_characters: of all stories.
        validation_share: share of the stories that are held out.
    """

    texts: list[str]
    num_stories: int
    num_characters: int
    validation_share: float


@dataclass(frozen=True)
class PartSeconds:
    """What the parts of a training take, in seconds.

    Attributes:
        start: time until the first step, and how much longer the first step takes than others.
        step: one optimiser step.
        validation: one validation, including the sample and saving new best weights.
        checkpoint: writing one.
        tokens_per_second: training tokens per second during the steps.
    """

    start: float
    step: float
    validation: float
    checkpoint: float
    tokens_per_second: float


def predict_training(
    stories: str | Path,
    *,
    base: str | Path | None = None,
    recipe: str | Path | Recipe = RECIPE,
    out: str | Path = ".",
) -> TrainingPrediction:
    """Train for a few seconds on the first of these stories, and predict what training on all of them will take.

    If the recipe would not fit into the free memory, a smaller one is tried, so that the system does not stop the
    program.

    Args:
        stories: anything that `fabula.clean` reads, or a corpus that it made.
        base, recipe: as `fabula.train` takes them.
        out: a folder on the disk that the model would be written to. Nothing is left there.

    Raises:
        FabulaError: the stories or the base cannot be read, or there is only one story.
    """
    import torch

    from fabula.models.device import best_device, device_name, free_memory_gb
    from fabula.training.clock import VALIDATED_SHARE
    from fabula.training.validation import planned_validations

    sample = _sample(stories)
    base = base or default_base()
    disk, found = _existing(Path(out)), find_model(base)
    asked = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    free, size, on_gpu = free_memory_gb(), model_size(found), best_device().type == "cuda"
    smaller = smaller_recipe(asked, size, free, on_gpu=on_gpu)
    with _scratch(disk, SCRATCH_FACTOR * _weight_bytes(found)) as temporary:
        began = time.monotonic()
        setup = _prepare(sample.texts, Path(temporary), base, load_recipe(smaller) if smaller else asked)
        num_read = sum(len(story.text) for story in setup.job.corpus.stories("train"))
        scale = (1 - sample.validation_share) * sample.num_characters / num_read
        num_windows = math.ceil(len(setup.windows) * scale)
        setup = with_batches_for(setup, num_windows)
        sizes = setup.sizes
        epoch_steps = math.ceil(num_windows / sizes.batch_size)
        num_steps = max(1, math.ceil(sizes.num_epochs * epoch_steps))
        num_tokens = setup.windows.num_targets * scale
        held_out = num_tokens * sample.validation_share / (1 - sample.validation_share)
        num_validations, validation_tokens = planned_validations(setup, num_steps)
        took = _measure(setup, began, min(held_out, validation_tokens))
    weights, trained = 4 * sizes.num_parameters, 4 * sizes.num_trained
    num_validations = min(num_validations, num_steps) + 1
    training = num_steps * took.step
    checkpoints = min(num_validations * took.checkpoint, took.checkpoint + VALIDATED_SHARE * training)
    memory = torch.cuda.max_memory_allocated() if on_gpu else _peak_memory()
    return TrainingPrediction(
        num_stories=sample.num_stories,
        num_tokens=round(num_tokens),
        num_parameters=sizes.num_parameters,
        num_steps=num_steps,
        tokens_per_second=took.tokens_per_second,
        seconds=took.start + training + num_validations * took.validation + checkpoints,
        memory_gb=memory_gb(asked, size, on_gpu=on_gpu) if smaller else memory / 1e9,
        smaller_recipe=smaller,
        smaller_memory_gb=memory / 1e9 if smaller else None,
        # Two checkpoints of 12 bytes per trained weight and one being written, two copies of the best weights, and the
        # model.
        disk_gb=(3 * 3 * trained + 2 * trained + weights + 4 * num_tokens) / 1e9,
        free_memory_gb=free,
        free_disk_gb=shutil.disk_usage(disk).free / 1e9,
        device=device_name(setup.workers.device),
    )


def _sample(stories: str | Path) -> StorySample:
    path = Path(stories)
    corpus = open_corpus(path) if (path / MANIFEST).is_file() else None
    texts: list[str] = []
    sampled = num_stories = num_characters = 0
    for story in corpus.stories() if corpus else open_stories(stories):
        num_stories += 1
        num_characters += len(story.text)
        if sampled < SAMPLE_CHARACTERS or len(texts) < 2:
            texts.append(story.text[:SAMPLE_CHARACTERS])
            sampled += len(texts[-1])
    if num_stories < 2:
        what = "there is no story in it"
        if num_stories:
            what = "there is only one story; fabula needs at least one to train on and one for validation"
        raise FabulaError(what, where=stories)
    share = 1 - corpus.num_stories("train") / num_stories if corpus else VALIDATION_SHARE
    return StorySample(texts, num_stories, num_characters, share)


def _prepare(texts: list[str], folder: Path, base: str | Path, recipe: str | Path | Recipe) -> "Setup":
    """The setup of a training on these texts, in `folder`."""
    from fabula.models.memory import keep_freed_memory
    from fabula.training.job import plan
    from fabula.training.setup import prepare
    from fabula.training.workers import Workers

    keep_freed_memory()
    file = folder / "stories.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    options = CleaningOptions(rules="none", repair=False, copies="ignore")
    clean(file, folder / "corpus", options, workers=WorkerOptions(workers=1))
    job = plan(folder / "corpus", folder / "model", base=base, recipe=recipe)
    job.work.mkdir(parents=True)
    return prepare(job, Workers.join(), silent)


def with_batches_for(setup: "Setup", num_windows: int) -> "Setup":
    """The setup with the batches of a training that has so many windows in an epoch."""
    sizes, on_cpu = setup.sizes, setup.workers.device.type == "cpu"
    batch_size = setup.recipe.batch_size(
        num_windows, sizes.context_length, sizes.num_parameters, on_cpu=on_cpu
    )
    steps_per_epoch = math.ceil(len(setup.windows) / batch_size)
    return replace(setup, sizes=replace(sizes, batch_size=batch_size, steps_per_epoch=steps_per_epoch))


def _measure(setup: "Setup", began: float, validation_tokens: float) -> PartSeconds:
    """Time a few steps, a validation on about this many tokens, and a checkpoint. This changes the weights."""
    from fabula.training.checkpoints import Checkpoints, State
    from fabula.training.setup import choose_micro_batch_size
    from fabula.training.step import compute_gradients, update_weights
    from fabula.training.validation import score, write_beginning

    size = choose_micro_batch_size(setup)
    checkpoints = Checkpoints(setup.job.work, setup.writers)
    num_stories = setup.validation.num_fitting(validation_tokens)
    scored = setup.validation.first(num_stories)
    times: list[float] = []
    num_tokens = 0

    def step() -> None:
        nonlocal num_tokens
        num_tokens += compute_gradients(setup, len(times), size, lambda: False).num_targets
        update_weights(setup, 0.0)

    def validate() -> None:
        score(setup, scored, lambda: False)
        checkpoints.save_best(1, setup.model)
        if setup.recipe.sample_tokens:
            write_beginning(setup)

    def save() -> None:
        checkpoints.save(State(step=1, best_step=1), setup.model, setup.optimizers)

    setup.model.train()
    step()
    start, num_tokens = time.monotonic() - began, 0
    while len(times) < MIN_STEPS or (sum(times) < MEASURED_SECONDS and len(times) < MAX_STEPS):
        times.append(_seconds(step))
    mean = sum(times) / len(times)
    validation = _seconds(validate) * max(1.0, validation_tokens / scored.num_tokens)
    return PartSeconds(start - mean, mean, validation, _seconds(save), num_tokens / sum(times))


def _seconds(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _weight_bytes(base: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(base))


def _scratch(disk: Path, room: int) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder on this disk, or elsewhere if the disk cannot be written to or has fewer than `room` free
    bytes: a full disk should not prevent a prediction."""
    if shutil.disk_usage(disk).free >= room:
        with contextlib.suppress(OSError):
            return tempfile.TemporaryDirectory(dir=disk)
    return tempfile.TemporaryDirectory()


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _peak_memory() -> int:
    """Largest memory of this process so far, in bytes."""
    if os.name == "nt":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
