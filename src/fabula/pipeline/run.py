"""The whole pipeline from a file of stories to a model, its stories and a report, in one folder."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING

from fabula.corpus.options import ReadingOptions
from fabula.corpus.store import open_corpus
from fabula.defaults import RECIPE, SAMPLES_MINUTES, SEED
from fabula.errors import FabulaError
from fabula.files import MANIFEST, PARTIAL, atomic_file, check_is_ours, library_versions, sole_owner
from fabula.install import command
from fabula.pipeline.clock import RunClock
from fabula.pipeline.events import EVENTS, EventLog
from fabula.progress import OnProgress, Progress, silent
from fabula.results import LOG, RUN, SAMPLES, Evaluation, RunArguments, RunRecord

if TYPE_CHECKING:
    from fabula.evaluation.models import LoadedModels
    from fabula.training.train import TrainResult

MEASURED_CHARACTERS = 1500
"""Text that the base model scores before a run, to measure how fast it is."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The paths of a run's results.

    Attributes:
        folder: the run's folder; the other paths lie in it.
        evaluation: what metrics.json holds; its models are "base" and "tuned".
        seconds: spent training, interruptions not counted.
    """

    folder: Path
    corpus: Path
    model: Path
    samples: Path
    report: Path
    evaluation: Evaluation
    seconds: float


def reading_of(arguments: RunArguments) -> ReadingOptions:
    """How the stories of a run are read."""
    return ReadingOptions(**{name: getattr(arguments, name) for name in ReadingOptions.model_fields})


INPUTS, DECISIONS, PROJECT = "inputs", "decisions.jsonl", "project.json"
"""What the studio puts into a run's folder before the run begins: the user's files, decisions and choices."""

BEFORE_A_RUN = {RUN, EVENTS, INPUTS, DECISIONS, PROJECT, "corpus"}
"""Files that a folder may contain before a run begins in it."""


def command_words(arguments: RunArguments, out: Path) -> list[str]:
    """The command that reproduces a run, as the words of a command line."""
    words = [
        "fabula",
        "run",
        *_named(arguments),
        "--out",
        str(out),
    ]
    for name, value in arguments:
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif name != "stories" and value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    return words


def _named(arguments: RunArguments) -> tuple[str, ...]:
    """The inputs as they were named; none for the bundled stories."""
    return (arguments.stories,) if isinstance(arguments.stories, str) else arguments.stories or ()


def sample_stories() -> Path:
    """The bundled stories of Low Quay (CC0)."""
    return Path(str(package_files("fabula") / "data" / "sample_stories.txt"))


def run(
    stories: str | Path | Sequence[str | Path] | None = None,
    *,
    base: str | None = None,
    out: str | Path | None = None,
    recipe: str = RECIPE,
    seed: int = SEED,
    max_minutes: float | None = None,
    reading: ReadingOptions | None = None,
    decisions: str | Path | None = None,
    on_progress: OnProgress = silent,
) -> RunResult:
    """Clean, train, evaluate, write samples and report.

    If it is stopped, the same call resumes where it was. Called again when it is done, it does nothing, unless the stories
    or the recipe's file have changed; then it redoes what depends on them.

    Args:
        stories: one or more inputs that `fabula.clean` reads; None for the bundled sample stories.
        base: the model to start from: a folder, a GGUF file, a short name of `fabula.bases`, or another name on the hub.
            None for "smollm2-135m", or for "tiny" if that is not available or memory is short.
        out: the run's folder; None for `runs/<stories>-<n>`, where n is that of an earlier run with the same
            arguments, or the next free one.
        recipe: name of a recipe, or a TOML file.
        seed: the random seed.
        max_minutes: bound on the time of the whole run, in minutes. At most a fifth of it is spent on tuning, writing and
            scoring, which shrink to fit, unless training needs less than the rest. None for no bound; the bundled sample
            stories take at most 6 minutes.
        reading: how to read the stories, where what is detected is wrong.
        decisions: a review file, which says of removals whether they are undone; see `fabula.clean`.

    Raises:
        FabulaError: bad input, a folder that holds something else or a finished run with other arguments, or one that
            another process works in.
    """
    if stories is None or isinstance(stories, str | Path):
        named = None if stories is None else str(stories)
    else:
        named = str(stories[0]) if len(stories) == 1 else tuple(map(str, stories))
    from fabula.models.find import default_base, find_model

    reading = reading or ReadingOptions()
    source = sample_stories() if named is None else named
    check_inputs(source, reading, recipe)
    base_name = default_base(on_progress) if base is None else base
    arguments = RunArguments(
        stories=named,
        base=base_name,
        recipe=recipe,
        seed=seed,
        max_minutes=SAMPLES_MINUTES if named is None and max_minutes is None else max_minutes,
        decisions=None if decisions is None else str(decisions),
        **dict(reading),
    )
    folder = run_folder(arguments) if out is None else Path(out)
    check_is_run_folder(folder)
    check_keeps_model(folder, arguments)
    found = find_model(base_name, silent if base is None else on_progress)
    with sole_owner(folder), EventLog(folder, on_progress) as log:
        return run_stages(source, arguments, found, folder, log)


def run_folder(arguments: RunArguments, parent: Path = Path("runs")) -> Path:
    """The folder of an earlier run with these arguments, or the next free one."""
    stem = "sample-stories"
    if named := _named(arguments):
        last = re.split(r"[/\\:]", named[0].rstrip("/\\"))[-1]
        stem = re.sub(r"[^\w-]+", "-", last.split(".")[0]).strip("-") or "stories"
    number = 1
    while (folder := parent / f"{stem}-{number}").exists():
        if read_arguments(folder) == arguments:
            break
        number += 1
    return folder


def read_arguments(folder: Path) -> RunArguments | None:
    """The arguments of the run in `folder`, or None where there is no run."""
    try:
        return RunRecord.load(folder / RUN).arguments
    except FabulaError:
        return None


def check_is_run_folder(folder: Path) -> None:
    """Refuse a folder in which something else than a run was written."""
    if not (folder / RUN).exists():
        suffixes = ("", ".lock", PARTIAL, f".old{PARTIAL}")
        check_is_ours(folder, "--out", {name + suffix for name in ("", *BEFORE_A_RUN) for suffix in suffixes})


def check_keeps_model(folder: Path, arguments: RunArguments) -> None:
    """Refuse to replace the finished model of a run with other arguments."""
    earlier = read_arguments(folder)
    if earlier is None or earlier == arguments or not (folder / "model" / MANIFEST).is_file():
        return
    before, now = earlier.model_dump(), arguments.model_dump()
    names = ", ".join(f"--{name.replace('_', '-')}" for name in now if before[name] != now[name])
    raise FabulaError(
        f"this folder holds a finished run with another {names.replace('--stories', 'file of stories')}",
        where=folder,
        hint="name another folder with --out, or train its model further with"
        f" `{command('train', folder / 'corpus', '--out', folder / 'model', '--continue')}`",
    )


def check_inputs(source: str | Path | Sequence[str | Path], reading: ReadingOptions, recipe: str) -> None:
    """Check the arguments before a base is fetched and a folder is made."""
    from fabula.corpus.read import open_stories
    from fabula.training.recipe import load_recipe

    load_recipe(recipe)
    open_stories(source, **reading.model_dump(exclude={"force"}))


def run_stages(
    source: str | Path | Sequence[str | Path],
    arguments: RunArguments,
    base: Path,
    folder: Path,
    on_progress: OnProgress,
) -> RunResult:
    """Clean, train, tune, evaluate and report, each into the run's folder.

    Args:
        base: folder of the base model.
    """
    from fabula.corpus.clean import clean
    from fabula.corpus.judge import overview
    from fabula.evaluation.models import LoadedModels
    from fabula.pipeline.budget import LARGEST_EVALUATION, REPORT_SECONDS
    from fabula.report.render import render

    clock = RunClock(on_progress)
    record = begin_record(arguments, folder)
    corpus, model = folder / "corpus", folder / "model"
    cleaned = clean(
        source, corpus, reading=reading_of(arguments), decisions=arguments.decisions, on_progress=clock
    )
    for label, text in overview(cleaned.counts):
        clock(Progress("clean", message=f"{label}: {text}"))
    loaded = LoadedModels(clock)
    record = plan_stages(base, folder, record, loaded, clock)
    clock.begin("train")
    trained = train_model(folder, base, clock)
    with atomic_file(folder / LOG, "wb") as file:
        file.write(trained.log.read_bytes())
    if arguments.max_minutes is not None and (record.evaluation is None or trained.is_new):
        limit = arguments.max_minutes * 60
        left = limit - max(trained.seconds, clock.elapsed()) - REPORT_SECONDS
        record = size_stages(min(left, LARGEST_EVALUATION * limit), folder, record, clock)
    evaluation = tune_and_evaluate(base, folder, record, loaded, clock)
    clock.begin("report")
    return RunResult(
        folder=folder,
        corpus=corpus,
        model=model,
        samples=folder / SAMPLES,
        report=render(folder),
        evaluation=evaluation,
        seconds=trained.seconds,
    )


def train_model(folder: Path, base: Path | None, on_progress: OnProgress) -> "TrainResult":
    """Train the model of a run. If torchrun started several processes, the first one does the other stages alone, and
    the others only call this; each waits here until all have come.

    Args:
        base: folder of the base model; None to find what the run's record names.
    """
    from fabula.models.find import locate_base
    from fabula.training.train import train
    from fabula.training.workers import Workers

    workers = Workers.join()
    try:
        record = RunRecord.load(folder / RUN)
        return train(
            folder / "corpus",
            folder / "model",
            base=base or locate_base(record.arguments.base),
            recipe=record.arguments.recipe,
            seed=record.arguments.seed,
            max_minutes=None if record.plan is None else record.plan.train_minutes,
            # The stories or the recipe file have changed; other arguments were refused before.
            if_trained="replace",
            on_progress=on_progress,
        )
    finally:
        workers.leave()


def begin_record(arguments: RunArguments, folder: Path) -> RunRecord:
    """The record of a run, written where there is none of the same arguments and versions."""
    record = RunRecord(
        name=folder.name,
        arguments=arguments,
        command=shlex.join(command_words(arguments, folder)),
        versions=library_versions("torch", "transformers", "tokenizers"),
    )
    if (folder / RUN).exists():
        found = RunRecord.load(folder / RUN)
        if found.model_copy(update={"plan": None, "evaluation": None}) == record:
            return found
    record.save(folder / RUN)
    return record


def plan_stages(
    base: Path, folder: Path, record: RunRecord, loaded: "LoadedModels", clock: RunClock
) -> RunRecord:
    """Predict what each stage will take, and say it. The plan of a run with a limit is kept in the run's record; other runs
    leave the same files each time, so nothing measured may stand in them."""
    from fabula.evaluation.stories import held_out_stories
    from fabula.pipeline.budget import describe_plan, measure_speeds, plan_run
    from fabula.training.recipe import load_recipe

    arguments, plan = record.arguments, record.plan
    limit = None if arguments.max_minutes is None else arguments.max_minutes * 60
    is_trained = (folder / "model" / MANIFEST).is_file()
    if plan is None and (limit is not None or not is_trained):
        corpus = open_corpus(folder / "corpus")
        text = held_out_stories(corpus, "validation", 1)[0].text[:MEASURED_CHARACTERS]
        speeds = measure_speeds(base, text, loaded)
        loaded.release()
        plan = plan_run(load_recipe(arguments.recipe), limit, clock.elapsed(), speeds, corpus)
        record = record.model_copy(update={"plan": None if limit is None else plan})
        record.save(folder / RUN)
    if plan is not None:
        clock.seconds = dict(plan.seconds)
        for message in [] if is_trained else describe_plan(plan):
            clock(Progress("run", message=message))
    return record


def size_stages(seconds: float, folder: Path, record: RunRecord, clock: RunClock) -> RunRecord:
    """Fit tuning, writing and scoring to the remaining seconds, and save their sizes in the run's record."""
    from fabula.pipeline.budget import fit_sizes, held_out_bytes, seconds_by_stage

    assert record.plan is not None
    held_out, speeds = held_out_bytes(open_corpus(folder / "corpus")), record.plan.speeds
    sizes = fit_sizes(seconds, speeds, held_out)
    clock.seconds |= seconds_by_stage(sizes, speeds, held_out)
    tuning = f"{sizes.num_settings} settings for each sampler" if sizes.num_settings else "no tuning"
    message = (
        f"to finish in time: {tuning}, {sizes.num_samples} samples from each model with at most {sizes.max_new_tokens} tokens,"
        f" {sizes.max_stories} of {len(held_out)} held-out stories scored,"
        f" {sizes.num_others or 'no'} stories by other authors for comparison"
    )
    clock(Progress("evaluate", message=message))
    record = record.model_copy(update={"evaluation": sizes})
    record.save(folder / RUN)
    return record


def tune_and_evaluate(
    base: Path, folder: Path, record: RunRecord, loaded: "LoadedModels", clock: RunClock
) -> Evaluation:
    """Choose the model's sampling settings, and compare it with its base; as much of it as the record says."""
    from fabula.evaluation.evaluate import evaluate
    from fabula.evaluation.options import EvaluationOptions
    from fabula.evaluation.tune import MIN_PEOPLE, SHORT_TUNING, UNTUNED, apply_settings, tune

    corpus, model = folder / "corpus", folder / "model"
    seed, sizes = record.arguments.seed, record.evaluation
    num_held_out = open_corpus(corpus).num_stories("validation")
    options = EvaluationOptions(seed=seed)
    if sizes is not None:
        options = EvaluationOptions(
            seed=seed,
            num_samples=sizes.num_samples,
            max_new_tokens=sizes.max_new_tokens,
            max_stories=sizes.max_stories,
            num_others=sizes.num_others,
        )
    num_settings = SHORT_TUNING.num_settings if sizes is None else sizes.num_settings
    clock.begin("tune")
    if num_settings and num_held_out >= MIN_PEOPLE:
        tuning = SHORT_TUNING.model_copy(update={"seed": seed, "num_settings": num_settings})
        tune(model, corpus, out=folder, options=tuning, loaded=loaded, on_progress=clock)
    else:
        apply_settings(model, UNTUNED)
    clock.begin("evaluate")
    return evaluate(
        [base, model],
        corpus,
        names=["base", "tuned"],
        out=folder,
        options=options,
        loaded=loaded,
        on_progress=clock,
    )
