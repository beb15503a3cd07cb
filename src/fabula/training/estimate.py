"""What a training would take: time, memory and disk, measured on a few windows before it begins."""

import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.corpus.read import open_stories
from fabula.corpus.store import open_corpus
from fabula.defaults import BASE, RECIPE
from fabula.errors import FabulaError
from fabula.files import MANIFEST
from fabula.models.load import locate_base
from fabula.training.recipe import Recipe, load_recipe

HELD_OUT = 0.1
"""Share of the stories that cleaning holds out, where they are not clean yet."""

SAMPLE_CHARACTERS = 500_000
"""Text that is tokenised to learn how many characters a token has."""

MEASURED_BATCHES = 3
MEASURED_BYTES = 100_000_000
WRITTEN = 8
"""Tokens that are written to see how fast that is."""


@dataclass(frozen=True)
class Estimate:
    """What a training is expected to take.

    Attributes:
        num_stories: stories in all, held-out ones included.
        num_tokens: training tokens in an epoch.
        num_parameters: of the model.
        num_steps: optimiser steps.
        tokens_per_second: as measured.
        seconds: of training, validation included.
        memory_gb: peak memory of the process (on a GPU: of the GPU).
        disk_gb: checkpoints and model together, at the most.
        free_memory_gb, free_disk_gb: what this machine has left now.
        device: what it would run on.
    """

    num_stories: int
    num_tokens: int
    num_parameters: int
    num_steps: int
    tokens_per_second: float
    seconds: float
    memory_gb: float
    disk_gb: float
    free_memory_gb: float
    free_disk_gb: float
    device: str


def estimate(
    stories: str | Path,
    *,
    base: str | Path = BASE,
    recipe: str | Path | Recipe = RECIPE,
    out: str | Path = ".",
) -> Estimate:
    """Measure a few windows of this base on this machine, and reckon what training on these stories would take.

    Args:
        stories: anything that `fabula.clean` reads, or a corpus that it made.
        base, recipe: as `fabula.train` takes them.
        out: a folder on the disk that the model would go to.

    Raises:
        FabulaError: the stories or the base cannot be read.
    """
    import psutil

    from fabula.models.load import load_model
    from fabula.tokens.tokenizer import load_tokenizer

    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    sample, num_stories, num_characters = _read(stories)
    folder = locate_base(base)
    began = time.perf_counter()
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    loading = time.perf_counter() - began
    num_tokens = _num_tokens(tokenizer, sample, num_characters) + 2 * num_stories
    measured = _measure(model, recipe)
    batch_size = recipe.batch_size(measured.context_length, measured.num_parameters)
    training_tokens = round(num_tokens * (1 - HELD_OUT))
    num_windows = math.ceil(
        training_tokens / measured.context_length * _repeated(recipe, measured, num_tokens, num_stories)
    )
    num_steps = math.ceil(
        recipe.epochs(measured.num_parameters, fresh=False) * math.ceil(num_windows / batch_size)
    )
    seconds = num_steps * batch_size * measured.context_length / measured.tokens_per_second
    held_out = min(
        num_tokens * HELD_OUT,
        recipe.validation_share
        * 1.5
        * num_steps
        * batch_size
        * measured.context_length
        / (recipe.num_validations + 1),
    )
    weights = 4 * measured.num_parameters
    trained = 4 * measured.num_trained
    checkpoint = 3 * trained
    # After each validation a checkpoint is written, and mostly new best weights.
    written = (checkpoint + trained) * _seconds_per_byte(_existing(Path(out)), checkpoint)
    samples = recipe.sample_tokens * measured.seconds_per_token
    seconds += (recipe.num_validations + 1) * (held_out / measured.scored_per_second + samples + written)
    seconds += loading
    return Estimate(
        num_stories=num_stories,
        num_tokens=training_tokens,
        num_parameters=measured.num_parameters,
        num_steps=num_steps,
        tokens_per_second=measured.tokens_per_second,
        seconds=seconds,
        memory_gb=measured.memory_gb,
        # Two checkpoints and the one being written, two of the best weights, the model.
        disk_gb=(3 * checkpoint + 2 * trained + weights + 4 * num_tokens) / 1e9,
        free_memory_gb=psutil.virtual_memory().available / 1e9,
        free_disk_gb=shutil.disk_usage(_existing(Path(out))).free / 1e9,
        device=measured.device,
    )


@dataclass(frozen=True)
class Measured:
    """One machine, one model, a few windows."""

    context_length: int
    num_parameters: int
    num_trained: int
    tokens_per_second: float
    scored_per_second: float
    """Tokens of held-out stories."""
    seconds_per_token: float
    """Of a story that is written."""
    memory_gb: float
    device: str


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _read(stories: str | Path) -> tuple[list[str], int, int]:
    """The first texts (about `SAMPLE_CHARACTERS`), and the number of stories and of characters in all."""
    path = Path(stories)
    source = open_corpus(path).stories() if (path / MANIFEST).is_file() else open_stories(stories)
    sample: list[str] = []
    held = num_stories = num_characters = 0
    for story in source:
        num_stories += 1
        num_characters += len(story.text)
        if held < SAMPLE_CHARACTERS:
            sample.append(story.text[: SAMPLE_CHARACTERS - held])
            held += len(sample[-1])
    if not num_stories:
        raise FabulaError("there is no story in it", where=stories)
    return sample, num_stories, num_characters


def _num_tokens(tokenizer: Any, sample: list[str], num_characters: int) -> int:
    from fabula.tokens.tokenizer import encode

    tokens = sum(len(ids) for ids in encode(tokenizer, sample))
    return round(tokens / sum(map(len, sample)) * num_characters)


def _repeated(recipe: Recipe, measured: Measured, num_tokens: int, num_stories: int) -> float:
    """Positions for each token: long stories repeat some of themselves as left context."""
    mean = num_tokens / num_stories
    step = measured.context_length - min(recipe.left_context, measured.context_length // 2)
    continued = max(0.0, (mean - measured.context_length) / step)
    return 1 + continued * (measured.context_length - step) / mean


def _measure(model: Any, recipe: Recipe) -> Measured:
    import torch

    from fabula.models.load import context_length_of, fuse_activations, quiet
    from fabula.models.memory import keep_freed_memory
    from fabula.models.scoring import TOKENS_PER_BATCH, score_tokens
    from fabula.training.loop import LONGEST_CONTEXT
    from fabula.training.loss import StoryLoss
    from fabula.training.machine import CPU_TOKENS, Precision
    from fabula.training.prepare import choose_trained, optimizers_for, set_dropout

    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    own = context_length_of(model.config)
    context_length = min(own, recipe.context_length or LONGEST_CONTEXT)
    num_parameters = model.num_parameters()
    set_dropout(model, recipe.dropout)
    fuse_activations(model)
    precision = Precision.choose(recipe.precision, device)
    precision.choose_attention(model, context_length)
    model = choose_trained(model.to(device), recipe)
    num_trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    loss = StoryLoss(model)
    model.train()
    batch_size = recipe.batch_size(context_length, num_parameters)
    size = min(batch_size, max(1, (recipe.micro_batch_tokens or CPU_TOKENS) // context_length))
    shape = (size, context_length)
    ids = torch.randint(0, model.config.vocab_size, shape, device=device)
    positions = torch.arange(context_length, device=device).expand(shape)
    segments = torch.ones(shape, dtype=torch.long, device=device)

    def micro_batch() -> None:
        with precision.autocast():
            total = loss(ids, ids, positions, segments)
        total.backward()
        total.item()

    def update() -> None:
        for optimizer in optimizers:
            optimizer.step()

    held_out = [ids[0].repeat(4).cpu().numpy()] * max(1, TOKENS_PER_BATCH // (4 * context_length))

    def score() -> None:
        with precision.scoring():
            score_tokens(model, held_out)

    @torch.no_grad()
    def write() -> None:
        with quiet(), precision.autocast():
            model.generate(
                input_ids=ids[:1, :1],
                attention_mask=torch.ones_like(ids[:1, :1]),
                do_sample=True,
                min_new_tokens=WRITTEN,
                max_new_tokens=WRITTEN,
                pad_token_id=0,
            )

    optimizers = optimizers_for(model, recipe, learning_rate=0.0)
    step = _seconds(micro_batch) * batch_size / size + _seconds(update)
    model.eval()
    scoring, writing = _seconds(score), _seconds(write)
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else _peak_memory()
    return Measured(
        context_length,
        num_parameters,
        num_trained,
        batch_size * context_length / step,
        sum(map(len, held_out)) / scoring,
        writing / WRITTEN,
        memory / 1e9,
        torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads",
    )


def _seconds_per_byte(folder: Path, size: int) -> float:
    """How long a byte takes to be written and to lie safely on the disk, in a file of about `size` bytes; 0 where the
    folder takes no such file, which is no reason to predict nothing."""
    data = os.urandom(min(size, MEASURED_BYTES))
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            began = time.perf_counter()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            return (time.perf_counter() - began) / len(data)
    except OSError:
        return 0.0


def _seconds(work: Callable[[], None]) -> float:
    """How long `work` takes: the median of several times, after a first one that is not counted."""
    times = []
    for _ in range(MEASURED_BATCHES + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def _peak_memory() -> int:
    """Largest memory of this process so far, in bytes."""
    if os.name == "nt":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
