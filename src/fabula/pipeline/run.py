"""The whole way: from a file of stories to a model, its stories and a report, in one folder."""

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from fabula.corpus.options import ReadingOptions
from fabula.corpus.store import open_corpus
from fabula.defaults import BASE, RECIPE, SEED
from fabula.errors import FabulaError
from fabula.files import MANIFEST, PARTIAL, atomic_file, library_versions, sole_owner
from fabula.pipeline.budget import TRAINING_SHARE, size_evaluation
from fabula.pipeline.events import EVENTS, EventLog
from fabula.progress import OnProgress, Progress, silent
from fabula.results import LOG, RUN, SAMPLES, Evaluation, RunArguments, RunRecord


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where everything is that a run made.

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
"""What a folder may hold that a run is begun in."""


def command_words(arguments: RunArguments, out: Path) -> list[str]:
    """The command that makes a run again, as the words of a command line."""
    words = [
        "fabula",
        "run",
        *_named(arguments),
        "--out",
        str(out),
    ]
    for name, value in arguments:
        if name != "stories" and value is not None:
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
    base: str = BASE,
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
        stories: what `fabula.clean` reads, one input or several; None for the bundled sample stories.
        base: the model to start from: a folder, a hub name, or "tiny".
        out: the run's folder; None for `runs/<stories>-<n>`, where n is that of an earlier run with the same
            arguments, or the next free one.
        recipe: name of a recipe, or a TOML file.
        seed: for everything that is drawn at random.
        max_minutes: bound on the time of the whole run, in minutes. Three quarters of it are spent on training, whose
            schedule is fitted to them; the evaluation shrinks to what is left.
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
    arguments = RunArguments(
        stories=named,
        base=base,
        recipe=recipe,
        seed=seed,
        max_minutes=max_minutes,
        decisions=None if decisions is None else str(decisions),
        **dict(reading or ReadingOptions()),
    )
    source = sample_stories() if named is None else named
    folder = run_folder(arguments) if out is None else Path(out)
    check_is_run_folder(folder)
    check_arguments(source, arguments, on_progress)
    check_keeps_model(folder, arguments)
    with sole_owner(folder), EventLog(folder, on_progress) as log:
        return run_stages(source, arguments, folder, log)


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
    """Refuse a folder with something else in it, so that nothing of the user's is overwritten."""
    if folder.exists() and not folder.is_dir():
        raise FabulaError("this is a file, not a folder", where=folder, hint="name another folder with --out")
    if folder.is_dir() and not (folder / RUN).exists():
        unexpected = [
            path.name
            for path in folder.iterdir()
            if path.name.removesuffix(PARTIAL).removesuffix(".old").removesuffix(".lock")
            not in {*BEFORE_A_RUN, ""}
        ]
        if unexpected:
            raise FabulaError(
                f"this folder holds something else ({min(unexpected)})",
                where=folder,
                hint="name another one with --out",
            )


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
        f" `fabula train {folder / 'corpus'} --out {folder / 'model'} --continue`",
    )


def check_arguments(
    source: str | Path | Sequence[str | Path], arguments: RunArguments, on_progress: OnProgress
) -> None:
    """Find what is wrong with the arguments before a folder is made and work begins."""
    from fabula.corpus.read import open_stories
    from fabula.models.find import locate_base
    from fabula.training.recipe import load_recipe

    load_recipe(arguments.recipe)
    open_stories(source, **dict(reading_of(arguments)))
    assert arguments.base is not None  # only the record of a published run names no base
    locate_base(arguments.base, on_progress)


def run_stages(
    source: str | Path | Sequence[str | Path], arguments: RunArguments, folder: Path, on_progress: OnProgress
) -> RunResult:
    """Clean, train, tune, evaluate and report, each into the run's folder."""
    from fabula.corpus.clean import clean
    from fabula.corpus.judge import overview
    from fabula.report.render import render
    from fabula.training.train import train

    assert arguments.base is not None
    began = time.monotonic()
    record = begin_record(arguments, folder)
    corpus, model = folder / "corpus", folder / "model"
    limit = arguments.max_minutes
    if limit is not None:
        on_progress(
            Progress("run", message=f"{limit:g} minutes in all, {limit * TRAINING_SHARE:g} of them training")
        )
    cleaned = clean(
        source,
        corpus,
        reading=reading_of(arguments),
        decisions=arguments.decisions,
        on_progress=on_progress,
    )
    for label, text in overview(cleaned.counts):
        on_progress(Progress("clean", message=f"{label}: {text}"))
    trained = train(
        corpus,
        model,
        base=arguments.base,
        recipe=arguments.recipe,
        seed=arguments.seed,
        max_minutes=None if limit is None else limit * TRAINING_SHARE,
        if_trained="replace",  # the stories or the recipe file have changed; other arguments were refused above
        on_progress=on_progress,
    )
    assert trained.base is not None
    with atomic_file(folder / LOG, "wb") as file:
        file.write(trained.log.read_bytes())
    if limit is not None and (record.evaluation is None or trained.is_new):
        used = max(trained.seconds, time.monotonic() - began)
        sizes = size_evaluation(model, corpus, limit * 60 - used, on_progress)
        record = record.model_copy(update={"evaluation": sizes})
        record.save(folder / RUN)
    evaluation = tune_and_evaluate(trained.base, folder, record, on_progress)
    return RunResult(
        folder=folder,
        corpus=corpus,
        model=model,
        samples=folder / SAMPLES,
        report=render(folder),
        evaluation=evaluation,
        seconds=trained.seconds,
    )


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
        if found.model_copy(update={"evaluation": None}) == record:
            return found
    record.save(folder / RUN)
    return record


def tune_and_evaluate(base: Path, folder: Path, record: RunRecord, on_progress: OnProgress) -> Evaluation:
    """Choose the model's sampling settings, and compare it with its base; as much of it as the record says."""
    from fabula.evaluation.evaluate import evaluate
    from fabula.evaluation.options import EvaluationOptions
    from fabula.evaluation.tune import MIN_PEOPLE, SHORT_TUNING, UNTUNED, apply_settings, tune

    corpus, model = folder / "corpus", folder / "model"
    seed, sizes = record.arguments.seed, record.evaluation
    options = EvaluationOptions(seed=seed)
    if sizes is not None:
        options = EvaluationOptions(
            seed=seed,
            num_samples=sizes.num_samples,
            max_stories=sizes.max_stories,
            num_others=sizes.num_others,
        )
    num_settings = SHORT_TUNING.num_settings if sizes is None else sizes.num_settings
    if num_settings and open_corpus(corpus).num_stories("validation") >= MIN_PEOPLE:
        tuning = SHORT_TUNING.model_copy(update={"seed": seed, "num_settings": num_settings})
        tune(model, corpus, out=folder, options=tuning, on_progress=on_progress)
    else:
        apply_settings(model, UNTUNED)
    return evaluate(
        [base, model], corpus, names=["base", "tuned"], out=folder, options=options, on_progress=on_progress
    )
