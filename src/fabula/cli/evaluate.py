"""`fabula evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.learning_curve import print_learning_curve
from fabula.cli.options import with_options
from fabula.cli.terminal import say
from fabula.errors import FabulaError
from fabula.evaluation.options import EvaluationOptions
from fabula.formatting import format_estimate, format_number
from fabula.results import Evaluation, ModelEvaluation, Writing


@with_options
def evaluate(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Folders of models or of runs, or names of bases. The others are compared with the first one.",
            show_default=False,
        ),
    ],
    *,
    on: Annotated[
        Path | None,
        typer.Option(
            "--on",
            metavar="CORPUS",
            help="The corpus, as fabula clean makes it.",
            show_default="that of the last model's run",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for metrics.json, samples.jsonl and report.html.",
            show_default="nothing is written",
        ),
    ] = None,
    learning_curve: Annotated[
        bool,
        typer.Option(
            "--learning-curve",
            help="Would more stories help? Train from the first model on a quarter and on half of the stories as well, and"
            " name the training stories that stand out.",
        ),
    ] = False,
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Limit on the time of --learning-curve, in minutes.", min=0.01, show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    options: EvaluationOptions,
) -> None:
    """Compare models by what they predict, write and copy.

    With --learning-curve and without --out, only the curve is measured, and added to the results of the model's run.
    """
    from fabula.evaluation.evaluate import evaluate as evaluate_models
    from fabula.models.find import locate_model
    from fabula.models.records import corpus_of
    from fabula.pipeline.learning_curve import measure_learning_curve
    from fabula.report.render import render

    if max_minutes is not None and not learning_curve:
        raise FabulaError("--max-minutes limits only a learning curve", hint="add --learning-curve")
    on = on or corpus_of(models[-1], "--on CORPUS")
    is_compared = out is not None or not learning_curve
    evaluation = None
    with context.obj as terminal:
        if is_compared:
            evaluation = evaluate_models(models, on, out=out, options=options, on_progress=terminal)
        if learning_curve:
            out = out or locate_model(models[-1]).resolve().parent
            base = models[0] if len(models) > 1 else None
            evaluation = measure_learning_curve(
                models[-1], base=base, corpus=on, out=out, max_minutes=max_minutes, on_progress=terminal
            )
    assert evaluation is not None
    report = render(out) if out is not None else None
    if json:
        print(evaluation.model_dump_json(indent=2))
        return
    if is_compared:
        print_evaluation(evaluation)
    if learning_curve and evaluation.learning_curve is not None:
        print_learning_curve(evaluation.learning_curve, on)
    if report is not None:
        print(f"\nreport  {report}")
    if is_compared:
        print()
        for sentence in evaluation.verdict.sentences:
            say(sentence)


def print_evaluation(evaluation: Evaluation) -> None:
    """The figures as a table, a column for each model, the last one for people."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    models, human, held_out = evaluation.models, evaluation.human, evaluation.held_out
    say(
        f"{held_out.num_stories:,} {held_out.split} stories in {held_out.num_clusters:,} clusters,"
        f" {held_out.num_words:,} words; windows of {models[0].context_length:,} tokens, stride"
        f" {models[0].stride:,}. In brackets: 95 % intervals."
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ["", *[model.name for model in models], *(["people"] if human else [])]:
        table.add_column(header)
    for label, cells in likelihood_rows(evaluation):
        table.add_row(label, *cells)
    if human:
        for label, cells in writing_rows(evaluation, human):
            table.add_row(label, *cells)
    console = Console()
    # A narrow terminal breaks cells; into a file or a pipe the table goes as wide as it is.
    Console(width=None if console.is_terminal else 300).print(table)


def likelihood_rows(evaluation: Evaluation) -> list[tuple[str, list[str]]]:
    """Rows about the prediction of held-out stories."""
    models = evaluation.models
    scores = [model.likelihood for model in models]
    rows = [("Bits per byte", [format_estimate(each.bits_per_byte) for each in scores])]
    if len(models) > 1:
        differences = [each.bits_per_byte_difference for each in scores]
        rows.append(
            (f"  minus {models[0].name}'s", [format_estimate(each) if each else "" for each in differences])
        )
    rows += [
        ("Perplexity per token", [format_estimate(each.perplexity_per_token, 1) for each in scores]),
        ("Perplexity per word", [format_estimate(each.perplexity_per_word, 0) for each in scores]),
    ]
    losses = [model.notebook_loss for model in models if model.notebook_loss is not None]
    if losses:
        rows.append(("Loss as the notebook counts", [f"{loss:.3f}" for loss in losses]))
    return [*rows, *voice_rows(models)]


def voice_rows(models: list[ModelEvaluation]) -> list[tuple[str, list[str]]]:
    """Rows about the author's voice; none where it was not measured."""
    rows: list[tuple[str, list[str]]] = []
    if any(model.voice for model in models):
        voices = [model.voice for model in models]
        rows += [
            (
                "Gain on author minus others",
                [format_estimate(each.difference) if each else "" for each in voices],
            ),
            (
                "Author distinguished",
                [format_estimate(each.told_apart, percent=True) if each else "" for each in voices],
            ),
        ]
    if any(model.style for model in models):
        rows.append(
            (
                "Style attributed to author",
                [format_estimate(model.style, percent=True) if model.style else "" for model in models],
            )
        )
    return rows


def writing_rows(evaluation: Evaluation, human: Writing) -> list[tuple[str, list[str]]]:
    """Rows about what was written."""
    from fabula.report.pages import MEASURES

    authors = [*[model.writing for model in evaluation.models if model.writing], human]
    gaps = [model.perplexity_gap for model in evaluation.models]
    copied = [author.memorisation.copied_share for author in authors]
    return [
        *((each.label, [each.show(author.measures) for author in authors]) for each in MEASURES),
        ("Perplexity gap, bits/byte", ["" if gap is None else format_number(gap, 3) for gap in gaps]),
        ("Text copied", [format_estimate(share, percent=True) for share in copied]),
        ("Longest copy, characters", [f"{author.memorisation.longest:,}" for author in authors]),
    ]
