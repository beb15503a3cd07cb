"""Would more stories help? Trains on a quarter, a half and all of the training stories, and scores the same held-out
stories with each model."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from fabula.corpus.store import Corpus, open_corpus
from fabula.corpus.subset import cluster_of, draw_clusters, write_part
from fabula.errors import FabulaError
from fabula.evaluation.learning_curve import compare_scores, conclude
from fabula.evaluation.likelihood import sum_scores
from fabula.evaluation.models import LoadedModels, model_folder, training_of
from fabula.evaluation.stories import held_out_stories
from fabula.evaluation.unusual import find_unusual
from fabula.files import fingerprint, hash_path, sole_owner
from fabula.formatting import format_duration, format_number
from fabula.models.find import locate_base
from fabula.models.records import corpus_of
from fabula.pipeline.clock import RunClock
from fabula.progress import OnProgress, Progress, silent
from fabula.results import (
    METRICS,
    RECIPE_FILE,
    RUN,
    Evaluation,
    LearningCurve,
    LearningCurvePoint,
    Result,
    RunRecord,
    TrainingManifest,
)
from fabula.story import Story
from fabula.training.job import FRESH_BASE
from fabula.training.recipe import Recipe
from fabula.training.train import train

PARTS = {"quarter": 0.25, "half": 0.5, "all": 1.0}
"""Share of the training stories in each part, by the stage that trains on it."""

MIN_CLUSTERS = 8
"""Fewest training stories, near-duplicates counted once: a quarter of fewer is a single story."""

MAX_READ = 2000
"""Most training stories that are searched for unusual ones."""

SCORED_SHARE, READ_SHARE = 0.25, 0.1
"""Shares of a time limit for scoring held-out stories, and for reading training stories."""

PROBE_CHARACTERS = 3000
WORK, PLAN = "learning-curve", "plan.json"
"""Folder for the trainings, in the folder of the result, until all are done; and a file in it."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished model, and everything that its training began with.

    Attributes:
        recipe: with the values that depend on the kind of base filled in.
        num_epochs: passes over the training stories that the training made.
        seconds: that it took.
    """

    folder: Path
    manifest: TrainingManifest
    corpus: Corpus
    base: Path
    recipe: Recipe
    num_epochs: float
    seconds: float


class CurvePlan(Result):
    """What was measured and decided at the beginning, so that a resumed curve decides the same."""

    fingerprint: str
    is_reused: bool
    """Whether the finished model is the training on all stories; else a shorter one is made."""
    minutes: float | None
    """Limit on the time of each training."""
    seconds: dict[str, float]
    """Predicted time of each stage."""
    num_scored: int
    """Held-out stories that are scored."""
    num_read: int
    """Training stories that are searched for unusual ones."""


def measure_learning_curve(
    model: str | Path,
    *,
    base: str | Path | None = None,
    corpus: str | Path | None = None,
    out: str | Path | None = None,
    max_minutes: float | None = None,
    on_progress: OnProgress = silent,
) -> Evaluation:
    """Train on a quarter, a half and all of a model's training stories, and compare the models on its held-out stories.

    Each training begins with the same base and recipe and sees as many tokens as the model did, fewer stories more
    often. The model itself is the training on all, unless a time limit leaves too little for the others. The curve is
    added to `metrics.json`, and names the training stories that the model predicts unlike the others. If it is stopped,
    the same call resumes it.

    Args:
        model: a model that `fabula.train` made, or its run.
        base: the base that its training began with; None for that of its run.
        corpus: that it was trained on; None for that of its run.
        out: a folder that `fabula.evaluate` wrote `metrics.json` into; None for that of its run.
        max_minutes: limit on the whole time. Trainings become shorter, and fewer stories are scored.

    Returns:
        What `metrics.json` now holds; its `learning_curve` is the result.

    Raises:
        FabulaError: the model, its base or its corpus is not the one that was trained, there is no evaluation, or there
            are too few stories.
    """
    folder = model_folder(model)
    out = folder.resolve().parent if out is None else Path(out)
    if not (out / METRICS).is_file():
        raise FabulaError(
            "there is no evaluation to add the curve to", where=out, hint="name its folder: --out FOLDER"
        )
    trained = find_training(folder, base, corpus, on_progress)
    mark = fingerprint(["learning curve", trained.manifest.fingerprint, max_minutes])
    evaluation = Evaluation.load(out / METRICS)
    if evaluation.learning_curve is not None and evaluation.learning_curve.fingerprint == mark:
        return evaluation
    clock = RunClock(on_progress)
    work = out / WORK
    with sole_owner(work):
        plan = CurvePlan.load_optional(work / PLAN)
        if plan is None or plan.fingerprint != mark:
            plan = plan_curve(trained, mark, None if max_minutes is None else max_minutes * 60, clock)
            plan.save(work / PLAN)
        clock.seconds = dict(plan.seconds)
        clock(Progress("train", message=describe(plan)))
        parts = [train_part(trained, plan, name, work, clock) for name in PARTS]
        curve = score_parts(trained, plan, parts, clock)
        evaluation = evaluation.model_copy(update={"learning_curve": curve})
        evaluation.save(out / METRICS)
    shutil.rmtree(work)
    return evaluation


def find_training(
    folder: Path, base: str | Path | None, corpus: str | Path | None, on_progress: OnProgress
) -> Trained:
    """Everything that the training of a model began with.

    Raises:
        FabulaError: it cannot be found, or it is not what the model's manifest records.
    """
    manifest, training = TrainingManifest.find(folder), training_of(folder)
    if manifest is None or training is None or not training.num_epochs or training.seconds is None:
        raise FabulaError(
            "fabula has no record of how this model was trained", where=folder, hint="train it with fabula"
        )
    source = open_corpus(corpus or corpus_of(folder, "--on CORPUS"))
    if manifest.inputs["corpus"] != source.fingerprint:
        raise FabulaError(
            "the model was not trained on this corpus", where=source.path, hint="name its own: --on CORPUS"
        )
    if len({cluster_of(story) for story in source.stories("train")}) < MIN_CLUSTERS:
        raise FabulaError(
            f"a learning curve needs at least {MIN_CLUSTERS} different training stories", where=source.path
        )
    recipe = Recipe.read(folder / RECIPE_FILE)
    if "init" in manifest.inputs:
        start = folder / FRESH_BASE
        recipe = recipe.model_copy(
            update={
                "learning_rate": recipe.peak_learning_rate(manifest.counts.num_trained, fresh=True),
                "context_length": recipe.context_length or _context_length(start),
            }
        )
    else:
        start = _find_base(folder, base, on_progress)
        if hash_path(start) != manifest.inputs["base"]:
            raise FabulaError(
                "the training of the model did not begin with this base",
                where=start,
                hint="name the base before the model: fabula evaluate BASE MODEL --learning-curve",
            )
    return Trained(folder, manifest, source, start, recipe, training.num_epochs, training.seconds)


def _find_base(folder: Path, base: str | Path | None, on_progress: OnProgress) -> Path:
    if base is not None:
        return locate_base(base, on_progress)
    run = RunRecord.load_optional(folder.resolve().parent / RUN)
    if run is None or not run.arguments.base:
        raise FabulaError(
            "the base of this model is not recorded",
            where=folder,
            hint="name it before the model: fabula evaluate BASE MODEL --learning-curve",
        )
    return locate_base(run.arguments.base, on_progress)


def _context_length(folder: Path) -> int:
    from fabula.models.fresh import read_config
    from fabula.models.load import context_length_of

    return context_length_of(read_config(str(folder / "config.json")))


def plan_curve(trained: Trained, mark: str, limit: float | None, clock: RunClock) -> CurvePlan:
    """Measure how fast the model scores, predict each stage, and divide the time.

    Args:
        limit: seconds for all; None for no limit.
    """
    held_out = held_out_stories(trained.corpus, "validation", None)
    speed = _bytes_per_second(trained.folder, held_out[0])
    scoring = [
        2 * len(PARTS) * len(story.text.encode()) / speed for story in held_out
    ]  # windows overlap by half
    reading = [2 * len(story.text.encode()) / speed for story in _read_stories(trained, MAX_READ)]
    num_scored, num_read = len(scoring), len(reading)
    if limit is not None:
        num_scored = max(2, _num_fitting(scoring, SCORED_SHARE * limit))
        num_read = _num_fitting(reading, READ_SHARE * limit)
    score_seconds = sum(scoring[:num_scored]) + sum(reading[:num_read])
    left = None if limit is None else max(1.0, limit - clock.elapsed() - score_seconds)
    is_reused = left is None or 2 * trained.seconds <= left
    names = [name for name in PARTS if name != "all" or not is_reused]
    each = trained.seconds if is_reused or left is None else left / len(names)
    return CurvePlan(
        fingerprint=mark,
        is_reused=is_reused,
        minutes=None if left is None else left / len(names) / 60,
        seconds={"prepare": clock.elapsed(), **dict.fromkeys(names, each), "score": score_seconds},
        num_scored=num_scored,
        num_read=num_read,
    )


def _bytes_per_second(folder: Path, story: Story) -> float:
    """Bytes of text that a model scores per second."""
    text = story.text[:PROBE_CHARACTERS]
    scorer = LoadedModels().scorer(folder)
    began = time.monotonic()
    scorer.score([text])
    return len(text.encode()) / max(1e-3, time.monotonic() - began)


def _num_fitting(seconds: list[float], limit: float) -> int:
    """How many of the first stories take at most so many seconds together."""
    total, count = 0.0, 0
    for each in seconds:
        total += each
        if total > limit:
            break
        count += 1
    return count


def _read_stories(trained: Trained, num_stories: int) -> list[Story]:
    """Training stories in the order of their ids, which is as good as random."""
    return sorted(trained.corpus.stories("train"), key=lambda story: story.id)[:num_stories]


def describe(plan: CurvePlan) -> str:
    """The prediction in a line."""
    names = [name for name in plan.seconds if name in PARTS]
    each = format_duration(plan.seconds[names[0]])
    whole = format_duration(sum(plan.seconds.values()))
    return (
        f"about {whole} in total: {len(names)} trainings ({', '.join(names)} of the stories) of about {each} each, and"
        f" {format_duration(plan.seconds['score'])} for scoring {format_number(plan.num_scored)} held-out stories and"
        f" {format_number(plan.num_read)} training stories"
    )


@dataclass(frozen=True, slots=True)
class TrainedPart:
    """A model that was trained on a part of the stories."""

    corpus: Corpus
    model: Path
    manifest: TrainingManifest


def train_part(trained: Trained, plan: CurvePlan, name: str, work: Path, clock: RunClock) -> TrainedPart:
    """Train on the part of this name."""
    if name not in plan.seconds:
        return TrainedPart(trained.corpus, trained.folder, trained.manifest)
    clock.begin(name)
    seed: int = trained.manifest.config["seed"]
    corpus = write_part(
        trained.corpus, draw_clusters(trained.corpus, PARTS[name], seed), work / f"{name}-corpus"
    )
    repeated = _num_tokens(trained, trained.corpus) / _num_tokens(trained, corpus)
    result = train(
        corpus.path,
        work / name,
        base=trained.base,
        recipe=trained.recipe.model_copy(update={"num_epochs": trained.num_epochs * repeated}),
        seed=seed,
        max_minutes=plan.minutes,
        if_trained="replace",
        on_progress=lambda progress: clock(replace(progress, stage=name)),
    )
    manifest = TrainingManifest.find(result.model)
    assert manifest is not None
    return TrainedPart(corpus, result.model, manifest)


def _num_tokens(trained: Trained, corpus: Corpus) -> int:
    """Tokens of the training stories."""
    from fabula.models.story_format import find_story_format
    from fabula.tokens.tokenizer import load_tokenizer
    from fabula.training.data import training_tokens

    tokenizer = load_tokenizer(trained.base)
    story_format = find_story_format(trained.folder, tokenizer)
    stories = training_tokens(corpus, tokenizer, story_format, trained.recipe.markup, silent)
    return int(stories.offsets[-1])


def score_parts(
    trained: Trained, plan: CurvePlan, parts: list[TrainedPart], clock: RunClock
) -> LearningCurve:
    """Score the held-out stories with each model, and training stories with the one that was trained on all."""
    clock.begin("score")
    loaded = LoadedModels(lambda progress: clock(replace(progress, stage="score")))
    held_out = held_out_stories(trained.corpus, "validation", plan.num_scored)
    texts, prompts = [story.text for story in held_out], [story.prompt for story in held_out]
    scores = [sum_scores(loaded.scorer(part.model).score_tokens(texts, prompts)) for part in parts]
    read = _read_stories(trained, plan.num_read)
    own = loaded.scorer(parts[-1].model).score_tokens(
        [story.text for story in read], [story.prompt for story in read]
    )
    median, unusual = find_unusual(read, sum_scores(own))
    num_stories = [part.corpus.num_stories("train") for part in parts]
    summary = training_of(parts[-1].model)
    bits, differences, doubling = compare_scores(
        scores, num_stories, [cluster_of(story) for story in held_out]
    )
    points = [
        LearningCurvePoint(
            num_stories=number,
            num_words=sum(story.num_words for story in part.corpus.stories("train")),
            num_steps=part.manifest.counts.num_steps,
            num_tokens=part.manifest.counts.num_tokens,
            best_step=part.manifest.counts.best_step,
            bits_per_byte=estimate,
            difference=difference,
        )
        for part, number, estimate, difference in zip(
            parts, num_stories, bits, [*differences, None], strict=True
        )
    ]
    return LearningCurve(
        fingerprint=plan.fingerprint,
        num_held_out=len(held_out),
        points=points,
        doubling=doubling,
        conclusion=conclude(bits, num_stories, doubling, summary.num_epochs if summary else 1.0),
        num_read=len(read),
        median_bits_per_byte=median,
        unusual=unusual,
    )
