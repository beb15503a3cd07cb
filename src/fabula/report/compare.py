"""One page over several runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from fabula.errors import FabulaError
from fabula.evaluation.models import unique_names
from fabula.files import atomic_file
from fabula.report.blind import Ballot
from fabula.report.pages import MEASURES, environment
from fabula.report.render import Pair, pair_samples
from fabula.results import (
    LOG,
    METRICS,
    RUN,
    SAMPLES,
    VOTES,
    CorpusManifest,
    Evaluation,
    ModelEvaluation,
    RunRecord,
    TrainingLog,
    read_samples,
)

COMPARISON = "comparison.html"
NUM_STORIES = 2
"""Stories shown of each run: one that continues an opening, one from nothing."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """What is shown of one run; the model is the last one of its evaluation.

    Attributes:
        stories_id: equal for runs that were scored on the same stories.
    """

    name: str
    command: str | None
    colour: str
    metrics: Evaluation
    log: TrainingLog
    stories_id: str
    pairs: list[Pair]

    @property
    def last(self) -> ModelEvaluation:
        return self.metrics.models[-1]

    @property
    def base(self) -> ModelEvaluation | None:
        return self.metrics.models[0] if len(self.metrics.models) > 1 else None


def compare(runs: Sequence[str | Path], *, out: str | Path = COMPARISON) -> Path:
    """Write a page that shows several runs side by side: the last model of each, their curves, figures and stories.

    Args:
        runs: folders of finished runs, two or more.
        out: the page.

    Returns:
        The page's path.

    Raises:
        FabulaError: fewer than two runs, or a folder that holds no finished run.
    """
    if len(runs) < 2:
        raise FabulaError("a comparison needs two runs or more")
    from fabula.report.charts import colours

    out = Path(out)
    shown = [read_run(Path(run), colour) for run, colour in zip(runs, colours(len(runs)), strict=True)]
    page = (
        environment()
        .get_template("compare.html")
        .render(
            runs=shown,
            measures=MEASURES,
            same_stories=len({run.stories_id for run in shown}) == 1,
            same_length=len({run.metrics.settings.max_new_tokens for run in shown if run.metrics.settings})
            <= 1,
            figures=chart_runs(shown),
            num_stories=NUM_STORIES,
            votes=open_ballot(runs, out).results(),
        )
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(out) as file:
        file.write(page)
    return out


def open_ballot(runs: Sequence[str | Path], out: str | Path = COMPARISON) -> Ballot:
    """The pairs of stories that the runs' last models wrote, to be chosen between without names. The votes are kept beside
    the page that `compare` writes, which shows what came of them.

    Raises:
        FabulaError: a folder that holds no finished run.
    """
    folders = [Path(run) for run in runs]
    for folder in folders:
        check_finished(folder)
    names = unique_names(folders)
    told = [
        (name, Evaluation.load(folder / METRICS), read_samples(folder / SAMPLES))
        for name, folder in zip(names, folders, strict=True)
    ]
    return Ballot.of(told, Path(out).with_suffix(f".{VOTES}"))


def check_finished(folder: Path) -> None:
    """Refuse a folder without a finished run."""
    if not folder.is_dir():
        raise FabulaError("no such folder", where=folder)
    if not (folder / METRICS).is_file():
        raise FabulaError("this folder holds no finished run", where=folder, hint="make one with: fabula run")


def read_run(folder: Path, colour: str) -> ComparedRun:
    """What is shown of the run in a folder.

    Raises:
        FabulaError: there is no finished run.
    """
    check_finished(folder)
    metrics = Evaluation.load(folder / METRICS)
    corpus = CorpusManifest.find(folder / "corpus")
    run = RunRecord.load_optional(folder / RUN)
    pairs, _ = pair_samples(read_samples(folder / SAMPLES), {metrics.models[-1].name: colour}, NUM_STORIES)
    return ComparedRun(
        name=run.name if run else folder.resolve().name,
        command=run.command if run else None,
        colour=colour,
        metrics=metrics,
        log=TrainingLog.load(folder / "model" / LOG),
        stories_id=f"{corpus.counts.content if corpus else folder} {metrics.held_out.model_dump_json()}",
        pairs=pairs,
    )


def chart_runs(runs: Sequence[ComparedRun]) -> dict[str, Markup]:
    """The runs' curves over time, and their last models' bits per byte."""
    from fabula.report.charts import bar
    from fabula.report.figures import Curve, draw_curves, draw_intervals

    charts = {
        "likelihood": draw_intervals(
            [bar(run.name, run.last.likelihood.bits_per_byte, run.colour) for run in runs],
            "Bits per byte of held-out stories, run by run, with 95 % intervals",
            "bits per byte (lower is better)",
        )
    }
    curves = [
        Curve(
            [row.seconds / 60 for row in run.log.validations],
            [row.bits_per_byte for row in run.log.validations],
            run.name,
            run.colour,
        )
        for run in runs
        if len(run.log.validations) > 1
    ]
    if curves:
        charts["curves"] = draw_curves(
            curves,
            "Learning curves: bits per byte of held-out stories over the minutes of training",
            "minutes of training",
            "bits per byte",
        )
    return charts
