"""`train`: a corpus and a base model go in, a model folder comes out. What it does is here; how is in `loop.py`."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.defaults import BASE, RECIPE, SEED
from fabula.errors import FabulaError
from fabula.files import Manifest, sole_owner
from fabula.progress import OnProgress, silent
from fabula.results import LOG, TrainingLog
from fabula.training.job import FRESH_BASE, Job, plan
from fabula.training.recipe import Recipe


@dataclass(frozen=True)
class TrainResult:
    """What a training made.

    Attributes:
        model: the model's folder.
        log: a row for each logged step.
        base: the folder of the model that it began from.
        num_steps: optimiser steps.
        num_tokens: story tokens that were targets, each time that they were.
        num_parameters: parameters of the model.
        num_trained: those of them that were trained.
        padding: fraction of the positions in the windows that held no story.
        seconds: time spent, interruptions not counted.
        best_step: step of the weights that became the model (0: the base itself).
        val_loss: their loss on held-out stories, nats per token.
        bits_per_byte: their loss on held-out story text.
        base_val_loss: the base model's.
        base_bits_per_byte: the base model's.
        is_new: whether this call did any work.
    """

    model: Path
    log: Path
    base: Path
    num_steps: int
    num_tokens: int
    num_parameters: int
    num_trained: int
    padding: float
    seconds: float
    best_step: int
    val_loss: float
    bits_per_byte: float
    base_val_loss: float
    base_bits_per_byte: float
    is_new: bool = True


def train(
    corpus: str | Path,
    out: str | Path,
    *,
    base: str | Path = BASE,
    init: str | None = None,
    recipe: str | Path | Recipe = RECIPE,
    seed: int = SEED,
    max_minutes: float | None = None,
    resume: bool = True,
    track: str | None = None,
    on_progress: OnProgress = silent,
) -> TrainResult:
    """Train a model on a corpus.

    Stopped at any moment, the same call goes on from the last checkpoint; on a CPU it ends with the same weights as if
    it had not been stopped. When the model is there already, the call does nothing.

    Args:
        corpus: a folder that `fabula.clean` made.
        out: the model's folder. Checkpoints lie beside it, in `OUT.checkpoints`, until it is done.
        base: the model to start from: "tiny", a folder, or a name on the hub.
        init: begin with random weights and a vocabulary learned from the stories instead: "tiny", "small", or a
            config.json of any causal language model.
        recipe: name of a recipe, a TOML file, or a `Recipe`.
        seed: of all that is drawn at random.
        max_minutes: bound on the time spent, interruptions not counted; the schedule is fitted to it.
        resume: False begins again, whatever is there.
        track: also send the log to "tensorboard" (its files go to OUT.tensorboard), "trackio" or "wandb".

    Raises:
        FabulaError: bad input, a damaged corpus or base, a folder that holds something else, a loss that is not
            finite or diverges, or a folder that another process trains in.
        KeyboardInterrupt: SIGINT or SIGTERM; a checkpoint was written first.
    """
    job = plan(
        Path(corpus),
        Path(out),
        base=base,
        init=init,
        recipe=recipe,
        seed=seed,
        max_minutes=max_minutes,
        track=track,
    )
    finished = Manifest.find(job.out)
    if resume and finished is not None and finished.fingerprint == job.manifest.fingerprint:
        _remove_work(job)
        return result_of(job.out, job.base, finished, is_new=False)
    _check_out(job.out, finished)

    if track is not None:
        from fabula.training.track import check_tracker

        check_tracker(track)
    from fabula.training.loop import fit
    from fabula.training.workers import Workers

    workers = Workers.join()
    try:
        if workers.is_first:
            with sole_owner(job.work.parent):
                if not resume:
                    shutil.rmtree(job.work, ignore_errors=True)
                fit(job, workers, on_progress)
                _remove_work(job)
        else:
            fit(job, workers, silent)
        workers.barrier()
    finally:
        workers.leave()
    manifest = Manifest.find(job.out)
    assert manifest is not None
    return result_of(job.out, job.base, manifest, is_new=True)


def _check_out(out: Path, finished: Manifest | None) -> None:
    if out.exists() and not out.is_dir():
        raise FabulaError("this is a file, not a folder", where=out, hint="name another folder with --out")
    if out.is_dir() and any(out.iterdir()) and (finished is None or finished.stage != "train"):
        raise FabulaError("this folder holds something else", where=out, hint="name another one with --out")


def _remove_work(job: Job) -> None:
    """Remove this training's checkpoints, and the folder of checkpoints where no other training has any there."""
    shutil.rmtree(job.work, ignore_errors=True)
    parent = job.work.parent
    if parent.is_dir() and all(path.name == ".lock" for path in parent.iterdir()):
        shutil.rmtree(parent, ignore_errors=True)


def result_of(out: Path, base: Path | None, manifest: Manifest, *, is_new: bool) -> TrainResult:
    """The result that a finished model folder records."""
    counts: dict[str, Any] = manifest.counts
    seconds = TrainingLog.load(out / LOG).seconds or 0.0
    return TrainResult(
        model=out, log=out / LOG, base=base or out / FRESH_BASE, seconds=seconds, is_new=is_new, **counts
    )
