"""`train`: makes a model folder from a corpus and a base model. The training itself is in `loop.py`."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fabula.defaults import RECIPE, SEED
from fabula.errors import FabulaError
from fabula.files import PARTIAL, check_is_ours, sole_owner
from fabula.install import torchrun_command
from fabula.progress import OnProgress, silent
from fabula.results import LOG, TrainingCounts, TrainingLog, TrainingManifest
from fabula.training.job import FRESH_BASE, Job, plan
from fabula.training.recipe import Recipe


@dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes:
        model: the model's folder.
        log: the log in it, `log.jsonl`.
        base: the folder of the model that the training began with; None if it continued a model, which it replaced.
        counts: what the training did, and the losses before and after.
        seconds: time spent, interruptions not counted.
        is_new: whether this call did any work.
    """

    model: Path
    log: Path
    base: Path | None
    counts: TrainingCounts
    seconds: float
    is_new: bool


def train(
    corpus: str | Path,
    out: str | Path,
    *,
    base: str | Path | None = None,
    init: str | None = None,
    recipe: str | Path | Recipe = RECIPE,
    seed: int = SEED,
    max_minutes: float | None = None,
    resume: bool = True,
    if_trained: Literal["refuse", "replace", "continue"] = "refuse",
    track: str | None = None,
    on_progress: OnProgress = silent,
) -> TrainResult:
    """Train a model on a corpus.

    If it is stopped, the same call resumes from the last checkpoint; on a CPU it ends with the same weights as if it
    had not been stopped. If the model exists already, the call does nothing.

    Args:
        corpus: a folder that `fabula.clean` made.
        out: the model's folder. Until the training is done, checkpoints are in `OUT.checkpoints`.
        base: the model to start from: a folder, a GGUF file, a short name of `fabula.bases`, or another name on the hub.
            None for "smollm2-135m", or for "tiny" if that is not available or memory is short.
        init: begin with random weights and a vocabulary learned from the stories instead: "tiny", "small", or a
            config.json of any causal language model.
        recipe: name of a recipe, a TOML file, or a `Recipe`.
        seed: the random seed.
        max_minutes: limit on the time spent, interruptions not counted; the learning-rate schedule is fitted to it.
        resume: False starts again, and replaces a finished model.
        if_trained: what to do if `out` holds a model that was trained with other arguments. "continue" trains that
            model further, with a new learning-rate schedule, and replaces it when that is done.
        track: also send the log to "tensorboard" (its files go to OUT.tensorboard), "trackio" or "wandb".

    Raises:
        FabulaError: bad input, a damaged corpus or base, a folder that holds something else or another finished model, a
            loss that is not finite or diverges, or a folder that another process trains in.
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
        is_continued=if_trained == "continue",
        on_progress=on_progress,
    )
    finished = TrainingManifest.find(job.out)
    if resume and finished is not None and finished.fingerprint == job.fingerprint:
        _remove_work(job)
        return _result(job, finished, is_new=False)
    _check_out(job, finished, may_replace=not resume or if_trained != "refuse")
    if track is not None:
        from fabula.training.track import check_tracker

        check_tracker(track)
    from fabula.training.loop import fit
    from fabula.training.workers import Workers

    workers = Workers.join()
    try:
        _check_number(workers.size, job)
        if workers.is_first:
            with sole_owner(job.work.parent):
                if not resume:
                    shutil.rmtree(job.work, ignore_errors=True)
                _remove_partial(job)
                fit(job, workers, on_progress)
                _remove_work(job)
        else:
            fit(job, workers, silent)
        workers.barrier()
    except RuntimeError as error:
        if not workers.have_lost_one(error):
            raise
        raise FabulaError(
            "another process of this training has ended, or does not answer",
            where=job.out,
            hint="start all processes again, and they go on from the last checkpoint",
        ) from error
    finally:
        workers.leave()
    manifest = TrainingManifest.find(job.out)
    assert manifest is not None
    return _result(job, manifest, is_new=True)


def _check_out(job: Job, finished: TrainingManifest | None, *, may_replace: bool) -> None:
    """Refuse to replace anything that the user has not agreed to replace."""
    out = job.out
    if finished is not None and not may_replace:
        raise FabulaError(
            f"this folder holds a finished model that was trained with another {_differences(job, finished)}",
            where=out,
            hint="name another folder with --out, or train this model further with --continue",
        )
    if finished is None:
        check_is_ours(out, "--out")


def _check_number(num_processes: int, job: Job) -> None:
    """Refuse to shard a model over a single process, unless torchrun was told to start one: it may go on alone with what
    several began."""
    from fabula.training.workers import is_launched

    sharding = job.recipe.sharding
    if sharding != "none" and num_processes == 1 and not is_launched():
        typed = torchrun_command(["train", str(job.corpus.path), "--out", str(job.out)])
        raise FabulaError(
            f'sharding = "{sharding}" splits the model over several processes, and there is only one',
            where="recipe",
            hint=f"type: {typed} (with the number of GPUs instead of 2)",
        )


def _differences(job: Job, finished: TrainingManifest) -> str:
    """Names of the arguments in which a finished training differs from this job."""
    before, now = (
        {**each.inputs, **each.config, **each.config.get("recipe", {}), "recipe": None}
        for each in (finished, job)
    )
    names = [name for name in (before | now) if before.get(name) != now.get(name)]
    return ", ".join(names) or "version of fabula"


def _remove_partial(job: Job) -> None:
    """Remove what killed trainings left half-written, also those on other stories: nobody else would ever remove it."""
    for leftover in job.work.parent.glob(f"*/*{PARTIAL}"):
        shutil.rmtree(leftover, ignore_errors=True)


def _remove_work(job: Job) -> None:
    """Remove this training's checkpoints, and their folder unless another training has checkpoints there."""
    shutil.rmtree(job.work, ignore_errors=True)
    job.finish_request.unlink(missing_ok=True)
    parent = job.work.parent
    if parent.is_dir() and all(path.name == ".lock" for path in parent.iterdir()):
        shutil.rmtree(parent, ignore_errors=True)


def _result(job: Job, manifest: TrainingManifest, *, is_new: bool) -> TrainResult:
    """The result that is recorded in a finished model folder."""
    out = job.out
    base = None if job.is_continued else job.base or out / FRESH_BASE
    seconds = TrainingLog.load(out / LOG).seconds or 0.0
    return TrainResult(out, out / LOG, base, manifest.counts, seconds, is_new)
