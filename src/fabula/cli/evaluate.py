"""`fabula evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.defaults import NUM_SAMPLES, SAMPLE_TOKENS, SEED

if TYPE_CHECKING:
    from fabula.evaluation.intervals import Estimate
    from fabula.pipeline.evaluate import Evaluation


def evaluate(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Folders or names of models. The others are compared with the first one.",
            show_default=False,
        ),
    ],
    on: Annotated[
        Path,
        typer.Option(
            "--on", metavar="CORPUS", help="The corpus, as fabula clean makes it.", show_default=False
        ),
    ],
    split: Annotated[str, typer.Option(help="Which of its stories to score.")] = "validation",
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for metrics.json, samples.jsonl and report.html.",
            show_default="nothing is written",
        ),
    ] = None,
    num_samples: Annotated[
        int, typer.Option(help="Stories that each model writes, to be compared with people's.", min=0)
    ] = NUM_SAMPLES,
    max_new_tokens: Annotated[int, typer.Option(help="The longest of these stories.", min=1)] = SAMPLE_TOKENS,
    seed: Annotated[int, typer.Option(help="Seed of the first of these stories.", min=0)] = SEED,
    context_length: Annotated[
        int | None,
        typer.Option(
            help="Tokens in a window of a scored story.", min=2, show_default="the model's, at most 1024"
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Tokens from one window to the next.", min=1, show_default="half a window"),
    ] = None,
    max_stories: Annotated[
        int | None, typer.Option(help="Score no more stories than these.", min=1, show_default="all")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Compare models: how well they predict held-out stories, what they write, and what they copy."""
    from fabula.pipeline.evaluate import evaluate as evaluate_models

    with context.obj as terminal:
        evaluation = evaluate_models(
            models,
            on,
            split=split,
            out=out,
            num_samples=num_samples,
            max_new_tokens=max_new_tokens,
            seed=seed,
            context_length=context_length,
            stride=stride,
            max_stories=max_stories,
            on_progress=terminal,
        )
    if json:
        print(evaluation.model_dump_json(indent=2))
    else:
        print_evaluation(evaluation)
    if out is not None:
        from fabula.report.render import render

        report = render(out)
        if not json:
            print(f"\nreport  {report}")


def interval(estimate: "Estimate", digits: int = 3) -> str:
    """ "1.234 (1.200 to 1.270)"."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:,.{digits}f}"
    return f"{estimate.value:,.{digits}f} ({estimate.low:,.{digits}f} to {estimate.high:,.{digits}f})"


def print_evaluation(evaluation: "Evaluation") -> None:
    """The figures as a table, a column a model, the last one for people."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    models, human, held_out = evaluation.models, evaluation.human, evaluation.held_out
    print(
        f"{held_out.num_stories:,} {held_out.split} stories in {held_out.num_clusters:,} clusters,"
        f" {held_out.num_words:,} words; windows of {models[0].context_length:,} tokens, stride"
        f" {models[0].stride:,}. In brackets: 95 % intervals."
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ["", *[model.name for model in models], *(["people"] if human else [])]:
        table.add_column(header, no_wrap=True)

    def add(label: str, cells: list[str]) -> None:
        table.add_row(label, *cells)

    scores = [model.likelihood for model in models]
    add("bits per byte", [interval(each.bits_per_byte) for each in scores])
    differences = [each.bits_per_byte_difference for each in scores]
    if len(models) > 1:
        add(f"  less {models[0].name}'s", [interval(each) if each else "" for each in differences])
    add("perplexity per token", [interval(each.perplexity_per_token, 1) for each in scores])
    add("perplexity per word", [interval(each.perplexity_per_word, 0) for each in scores])
    add("loss as the notebook counts", [f"{model.notebook_loss:.3f}" for model in models])
    authors = [writing for writing in [*[model.writing for model in models], human] if writing]
    if human:
        for label, name, digits in (
            ("stories that loop", "looping_share", 2),
            ("repeated 4-grams", "repeated_4grams", 3),
            ("stories that end", "ended_share", 2),
            ("words", "mean_words", 0),
            ("distinct 2-grams", "distinct_2", 3),
            ("distinct 3-grams", "distinct_3", 3),
            ("compression ratio", "compression_ratio", 2),
            ("Zipf slope", "zipf_slope", 2),
        ):
            figures = [getattr(author.measures, name) for author in authors]
            add(
                label,
                [
                    ""
                    if each is None
                    else f"{each:.{digits}f}"
                    if isinstance(each, float)
                    else interval(each, digits)
                    for each in figures
                ],
            )
        gaps = [model.perplexity_gap for model in models]
        add("perplexity gap, bits/byte", ["" if gap is None else f"{gap:+.3f}" for gap in gaps])
        add("text copied", [interval(author.memorisation.copied_share) for author in authors])
        add("longest copy, characters", [f"{author.memorisation.longest:,}" for author in authors])
    console = Console()
    # Into a file or a pipe the table goes as wide as it is: a cut figure is no figure.
    Console(width=None if console.is_terminal else 300).print(table)
