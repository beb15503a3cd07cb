"""Which base to train on these stories: a comparison of the table's bases on this machine."""

from dataclasses import dataclass
from pathlib import Path

from fabula.defaults import RECIPE
from fabula.models.bases import BASES, Base
from fabula.models.device import best_device
from fabula.models.find import is_at_hand
from fabula.progress import OnProgress, Progress, silent
from fabula.training.memory import memory_gb
from fabula.training.predict import TrainingPrediction, predict_training
from fabula.training.recipe import ModelSize, Recipe, load_recipe

ENOUGH_TOKENS = 60_000
"""Training tokens that made SmolLM2-135M 3 % better on the stories of one author (docs/benchmarks.md, "A real
base")."""

SHORT_RUN_SECONDS, LONG_RUN_SECONDS = 600.0, 3600.0
"""A base is too large for a machine that cannot train on `ENOUGH_TOKENS` in the shorter time. If only the bundled toy is
small enough, the longer time counts."""


@dataclass(frozen=True)
class BasePrediction:
    """What training from a base is expected to take.

    Attributes:
        seconds: of the whole training.
        tokens_per_second: training tokens.
        memory_gb: at the peak.
        fits: whether that much memory is free.
        measured: the prediction, if the base was tried; None if the figures were scaled from another base's.
    """

    base: Base
    seconds: float
    tokens_per_second: float
    memory_gb: float
    fits: bool
    measured: TrainingPrediction | None

    @property
    def enough_seconds(self) -> float:
        """Seconds of training that make a difference."""
        return ENOUGH_TOKENS / self.tokens_per_second

    @property
    def is_quick_enough(self) -> bool:
        return self.enough_seconds <= SHORT_RUN_SECONDS


@dataclass(frozen=True)
class BaseComparison:
    """The bases of the table, smallest first.

    Attributes:
        chosen: the largest that is on this machine, fits and is quick enough. If only the bundled toy is, the quickest
            pre-trained base that is quick enough for a long run; the toy if there is none.
        larger: the largest that would have to be downloaded first, if it is larger than the chosen one.
    """

    predictions: tuple[BasePrediction, ...]
    chosen: BasePrediction
    larger: BasePrediction | None


def compare_bases(
    stories: str | Path, *, recipe: str | Path | Recipe = RECIPE, on_progress: OnProgress = silent
) -> BaseComparison:
    """Try each base that is on this machine, with `predict_training`, and predict the others from their sizes.

    The time per token is taken to grow with the number of parameters, from the tried base of the nearest size.

    Raises:
        FabulaError: as `predict_training`.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    by_size = sorted(BASES, key=lambda base: base.num_parameters)
    tried: list[BasePrediction] = []
    for base in filter(
        lambda base: is_at_hand(base.name), by_size
    ):  # in ascending order, since the peak memory of the process never falls
        on_progress(Progress("doctor", message=f"training {base.name} for a few seconds"))
        found = predict_training(stories, base=base.name, recipe=recipe)
        fits = found.memory_gb <= found.free_memory_gb
        tried.append(
            BasePrediction(base, found.seconds, found.tokens_per_second, found.memory_gb, fits, found)
        )
    by_name = {each.base.name: each for each in tried}
    predictions = tuple(by_name.get(base.name) or _from_size(base, tried, recipe) for base in by_size)
    suitable = [each for each in predictions if each.fits and each.is_quick_enough]
    chosen = _choose([each for each in tried if each.fits], default=tried[0])
    largest = max(suitable, key=lambda each: each.base.num_parameters, default=chosen)
    is_larger = largest.base.num_parameters > chosen.base.num_parameters
    return BaseComparison(predictions, chosen, largest if is_larger else None)


def _choose(tried: list[BasePrediction], default: BasePrediction) -> BasePrediction:
    """The base to take of those that fit, smallest first."""
    pretrained = [each for each in tried if each.base.repository]
    if quick := [each for each in pretrained if each.is_quick_enough]:
        return quick[-1]
    slow = (each for each in pretrained if each.enough_seconds <= LONG_RUN_SECONDS)
    return min(slow, key=lambda each: each.enough_seconds, default=default)


def _from_size(base: Base, tried: list[BasePrediction], recipe: Recipe) -> BasePrediction:
    nearest = max(
        tried,
        key=lambda each: min(
            each.base.num_parameters / base.num_parameters, base.num_parameters / each.base.num_parameters
        ),
    )
    assert nearest.measured is not None
    slower = base.num_parameters / nearest.base.num_parameters
    epochs, its_epochs = (recipe.epochs(each.num_parameters, fresh=False) for each in (base, nearest.base))
    needed = memory_gb(recipe, ModelSize(base.num_parameters), on_gpu=best_device().type == "cuda")
    tokens = (nearest.base.bytes_per_token or 1) / (base.bytes_per_token or nearest.base.bytes_per_token or 1)
    return BasePrediction(
        base,
        nearest.seconds * slower * tokens * epochs / its_epochs,
        nearest.tokens_per_second / slower,
        needed,
        needed <= nearest.measured.free_memory_gb,
        None,
    )
