"""What a training would take: time, memory and disk, measured on a rehearsal of it."""

import contextlib
import json
import math
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fabula.corpus.clean import clean
from fabula.corpus.read import open_stories
from fabula.corpus.store import open_corpus
from fabula.defaults import BASE, RECIPE
from fabula.errors import FabulaError
from fabula.files import MANIFEST
from fabula.models.load import locate_base, weight_files
from fabula.progress import silent
from fabula.training.recipe import Recipe

if TYPE_CHECKING:
    from fabula.training.loop import Trainer

HELD_OUT = 0.1
"""Share of the stories that cleaning holds out, where they are not clean yet."""

SAMPLE_CHARACTERS = 500_000
"""Text that the rehearsal trains on, and that tells how many tokens a character has."""

ROOM = 10
"""A checkpoint and the best weights take at most so many times the base's bytes (16 to a weight; a base has 2 or 4)."""


@dataclass(frozen=True)
class Estimate:
    """What a training is expected to take.

    Attributes:
        num_stories: stories in all, held-out ones included.
        num_tokens: training tokens in an epoch.
        num_parameters: of the model.
        num_steps: optimiser steps.
        tokens_per_second: training tokens, as measured.
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


@dataclass(frozen=True)
class Stories:
    """Stories in numbers, and a sample of them.

    Attributes:
        sample: the first texts, about `SAMPLE_CHARACTERS`.
        num_stories, num_characters: of all of them.
        held_out: share of the stories that is not trained on.
    """

    sample: list[str]
    num_stories: int
    num_characters: int
    held_out: float


def estimate(
    stories: str | Path,
    *,
    base: str | Path = BASE,
    recipe: str | Path | Recipe = RECIPE,
    out: str | Path = ".",
) -> Estimate:
    """Train for some seconds on the first of these stories, and reckon what training on all of them would take.

    Args:
        stories: anything that `fabula.clean` reads, or a corpus that it made.
        base, recipe: as `fabula.train` takes them.
        out: a folder on the disk that the model would go to. Nothing stays there.

    Raises:
        FabulaError: the stories or the base cannot be read, or there is only one story.
    """
    import psutil
    import torch

    read = _read(stories)
    disk = _existing(Path(out))
    room = ROOM * sum(file.stat().st_size for file in weight_files(locate_base(base)))
    with _scratch(disk, room) as temporary:
        trainer = _trainer(read.sample, Path(temporary), base, recipe)
        recipe = trainer.recipe
        sampled = sum(len(story.text) for story in trainer.job.corpus.stories("train"))
        share = (1 - read.held_out) * read.num_characters / sampled
        num_windows = math.ceil(len(trainer.windows) * share)
        num_steps = max(
            1,
            math.ceil(
                recipe.epochs(trainer.num_parameters, fresh=False)
                * math.ceil(num_windows / trainer.batch_size)
            ),
        )
        tokens = trainer.windows.num_targets * share
        held_out = min(tokens * read.held_out / (1 - read.held_out), trainer.validation_tokens(num_steps))
        took = trainer.rehearse(held_out)
    weights, trained = 4 * trainer.num_parameters, 4 * trainer.num_trained
    checkpoint = 3 * trained
    on_gpu = trainer.workers.device.type == "cuda"
    return Estimate(
        num_stories=read.num_stories,
        num_tokens=round(tokens),
        num_parameters=trainer.num_parameters,
        num_steps=num_steps,
        tokens_per_second=took.tokens_per_second,
        seconds=took.start
        + num_steps * took.step
        + (min(recipe.num_validations, num_steps) + 1) * (took.validation + took.checkpoint),
        memory_gb=(torch.cuda.max_memory_allocated() if on_gpu else _peak_memory()) / 1e9,
        # Two checkpoints and the one being written, two of the best weights, the model.
        disk_gb=(3 * checkpoint + 2 * trained + weights + 4 * tokens) / 1e9,
        free_memory_gb=psutil.virtual_memory().available / 1e9,
        free_disk_gb=shutil.disk_usage(disk).free / 1e9,
        device=torch.cuda.get_device_name() if on_gpu else f"{torch.get_num_threads()} CPU threads",
    )


def _scratch(disk: Path, room: int) -> tempfile.TemporaryDirectory[str]:
    """A folder on the same disk, or elsewhere where that takes none or has no `room` (bytes), which is no reason to
    predict nothing."""
    if shutil.disk_usage(disk).free >= room:
        with contextlib.suppress(OSError):
            return tempfile.TemporaryDirectory(dir=disk)
    return tempfile.TemporaryDirectory()


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _read(stories: str | Path) -> Stories:
    path = Path(stories)
    corpus = open_corpus(path) if (path / MANIFEST).is_file() else None
    sample: list[str] = []
    held = num_stories = num_characters = 0
    for story in corpus.stories() if corpus else open_stories(stories):
        num_stories += 1
        num_characters += len(story.text)
        if held < SAMPLE_CHARACTERS or len(sample) < 2:
            sample.append(story.text[:SAMPLE_CHARACTERS])
            held += len(sample[-1])
    if num_stories < 2:
        what = (
            "there is only one story, and none can be held out" if num_stories else "there is no story in it"
        )
        raise FabulaError(what, where=stories)
    held_out = 1 - corpus.num_stories("train") / num_stories if corpus else HELD_OUT
    return Stories(sample, num_stories, num_characters, held_out)


def _trainer(sample: list[str], folder: Path, base: str | Path, recipe: str | Path | Recipe) -> "Trainer":
    """A training on these texts, in `folder`, ready for its first step."""
    from fabula.models.memory import keep_freed_memory
    from fabula.training.loop import Trainer
    from fabula.training.train import plan
    from fabula.training.workers import Workers

    keep_freed_memory()
    texts = folder / "stories.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in sample), encoding="utf-8")
    clean(texts, folder / "corpus", rules="none", repair=False, copies="ignore", num_workers=1)
    job = plan(folder / "corpus", folder / "model", base=base, recipe=recipe)
    assert job.base is not None
    job.work.mkdir(parents=True)
    return Trainer(job, job.base, Workers.join(), silent, time.monotonic())


def _peak_memory() -> int:
    """Largest memory of this process so far, in bytes."""
    if os.name == "nt":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
