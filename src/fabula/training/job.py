"""A training job: everything that determines the outcome of a training, and where its files are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.corpus.store import Corpus, open_corpus
from fabula.defaults import SEED
from fabula.errors import FabulaError
from fabula.files import fingerprint, hash_path
from fabula.models.find import default_base, find_model
from fabula.progress import OnProgress, silent
from fabula.results import TrainingManifest
from fabula.training.recipe import Recipe, load_recipe

FRESH_BASE = "base"
"""Folder in a model that began with random weights; it holds those weights, so that the two can be compared."""

CHECKPOINTS = ".checkpoints"
"""Suffix of the folder next to the model that holds an unfinished training."""

FINISH = "finish"
"""A file of this name in that folder ends the training as if its time limit were reached."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        base: folder of the base model; None to begin with a fresh model of the kind `init`.
        max_minutes: limit on the time spent; None for no limit.
        is_continued: whether the base is the finished model in `out`, which this training will replace.
        inputs, config: what the fingerprint covers: hashes of the corpus and the base, and all settings.
        track: name of an experiment tracker, or None.
    """

    corpus: Corpus
    out: Path
    base: Path | None
    init: str
    recipe: Recipe
    seed: int
    max_minutes: float | None
    inputs: dict[str, str]
    config: dict[str, Any]
    track: str | None = None
    is_continued: bool = False

    @property
    def fingerprint(self) -> str:
        """Equal for equal trainings."""
        return fingerprint(["train", self.inputs, self.config])

    @property
    def work(self) -> Path:
        """Folder for checkpoints, the log and a fresh base until the training is finished."""
        return self.out.with_name(self.out.name + CHECKPOINTS) / self.fingerprint

    @property
    def finish_request(self) -> Path:
        """The file that asks the training to end now and to keep its best weights."""
        return self.work.parent / FINISH

    @property
    def base_folder(self) -> Path:
        """Folder of the base model; also of a fresh one."""
        return self.base or self.work / FRESH_BASE

    @property
    def limit(self) -> float | None:
        """Seconds that the training may take; None for no limit."""
        return None if self.max_minutes is None else self.max_minutes * 60


def plan(
    corpus: Path,
    out: Path,
    *,
    base: str | Path | None = None,
    recipe: str | Path | Recipe,
    init: str | None = None,
    seed: int = SEED,
    max_minutes: float | None = None,
    track: str | None = None,
    is_continued: bool = False,
    on_progress: OnProgress = silent,
) -> Job:
    """The job that `train` does with these arguments."""
    opened = open_corpus(corpus)
    resolved = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    if max_minutes is not None and max_minutes <= 0:
        raise FabulaError(f"{max_minutes:g} minutes leave no time to train", where="--max-minutes")
    if init is not None and base is not None:
        raise FabulaError(
            "a model begins with the weights of a base or with random ones",
            hint="give --base or --init, not both",
        )
    if is_continued and (init is not None or base is not None):
        raise FabulaError(
            "with --continue, the model in --out is the base",
            hint="leave --base and --init out, or --continue",
        )
    if is_continued and TrainingManifest.find(out) is None:
        raise FabulaError("there is no finished model to continue", where=out, hint="leave --continue out")
    folder = None
    if is_continued:
        folder = out
    elif init is None:
        folder = find_model(base, on_progress) if base else find_model(default_base(on_progress))
    start = folder or Path(init or "")
    origin = hash_path(start) if start.exists() else init
    config = {"recipe": resolved.model_dump(mode="json"), "seed": seed, "max_minutes": max_minutes}
    inputs = {"corpus": opened.fingerprint, "base" if folder else "init": origin or ""}
    return Job(
        opened, out, folder, init or "", resolved, seed, max_minutes, inputs, config, track, is_continued
    )
