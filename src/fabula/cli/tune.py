"""`fabula tune`."""

from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.options import ModelArgument, with_options
from fabula.cli.terminal import say
from fabula.evaluation.options import TuningOptions
from fabula.formatting import format_percent
from fabula.results import Tuning


@with_options
def tune(
    context: typer.Context,
    model: ModelArgument,
    corpus: Annotated[
        Path | None,
        typer.Argument(
            metavar="CORPUS",
            help="The corpus that it was trained on, as fabula clean makes it.",
            show_default="the run's",
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="A folder for tuning.json.", show_default="the model's")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    options: TuningOptions,
) -> None:
    """Choose the sampling settings that write most like people.

    They are saved with the model.
    """
    from fabula.evaluation.tune import tune as tune_model
    from fabula.models.records import corpus_of

    corpus = corpus or corpus_of(model, "fabula tune MODEL CORPUS")
    with context.obj as terminal:
        tuning = tune_model(model, corpus, out=out, options=options, on_progress=terminal)
    if json:
        print(tuning.model_dump_json(indent=2))
    else:
        print_tuning(tuning)


def print_tuning(tuning: Tuning) -> None:
    """The settings that were tried, those whose stories are most like people's first."""
    from fabula.report.facts import state_settings

    print("distance  non-words  copied  settings")
    for candidate in sorted(tuning.candidates, key=lambda candidate: candidate.distance):
        mark = "  <- chosen" if candidate is tuning.best else ""
        non_words, copied = map(format_percent, (candidate.figures.non_words, candidate.copied_share))
        settings = state_settings(candidate.settings)
        print(f"{candidate.distance:8.2f}  {non_words:>9}  {copied:>6}  {settings}{mark}")
    if tuning.best.copied_share > tuning.copied_limit:
        say(
            f"With every setting the model copies more than {format_percent(tuning.copied_limit)} of its text from"
            " training stories; fabula chose the one with which it copies least."
        )
    else:
        say(
            "The smaller the distance, the more the stories are like people's. Of the settings with few non-words that are"
            " nearest, allowing for chance, fabula chose the one whose stories the model finds likeliest."
        )
    non_words, copied = map(format_percent, (tuning.human.non_words, tuning.human_copied_share))
    say(
        f"People's stories have {non_words} non-words, and {copied} of their text is copied. The settings are in the model's"
        " generation_config.json."
    )
