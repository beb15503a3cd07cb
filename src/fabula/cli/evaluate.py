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
    """ "1.234 [1.200, 1.270]"."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:,.{digits}f}"
    return f"{estimate.value:,.{digits}f} [{estimate.low:,.{digits}f}, {estimate.high:,.{digits}f}]"


def print_evaluation(evaluation: "Evaluation") -> None:
    """The figures as a table, a column a model."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    held_out = evaluation.held_out
    first = evaluation.models[0]
    print(
        f"{held_out.num_stories:,} {held_out.split} stories in {held_out.num_clusters:,} clusters,"
        f" {held_out.num_words:,} words; windows of {first.context_length:,} tokens, stride {first.stride:,};"
        " 95 % intervals by bootstrap over clusters"
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for model in evaluation.models:
        table.add_column(model.name)
    if evaluation.human:
        table.add_column("people")
    likelihoods = [model.likelihood for model in evaluation.models]
    people = [""] if evaluation.human else []
    table.add_row("bits per byte", *[interval(each.bits_per_byte) for each in likelihoods], *people)
    if len(likelihoods) > 1:
        table.add_row(
            f"less {first.name}'s",
            *[
                interval(each.bits_per_byte_difference) if each.bits_per_byte_difference else ""
                for each in likelihoods
            ],
            *people,
        )
    table.add_row(
        "perplexity per token", *[interval(each.perplexity_per_token, 1) for each in likelihoods], *people
    )
    table.add_row(
        "perplexity per word", *[interval(each.perplexity_per_word, 0) for each in likelihoods], *people
    )
    table.add_row(
        "loss as the seed counted it", *[f"{model.seed_loss:.3f}" for model in evaluation.models], *people
    )
    if evaluation.human:
        authors = [*[model.writing for model in evaluation.models], evaluation.human]
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
            cells = []
            for author in authors:
                value = getattr(author.measures, name) if author else None
                cells.append(
                    ""
                    if value is None
                    else f"{value:.{digits}f}"
                    if isinstance(value, float)
                    else interval(value, digits)
                )
            table.add_row(label, *cells)
        table.add_row(
            "own less people's bits per byte",
            *[
                "" if model.perplexity_gap is None else f"{model.perplexity_gap:+.3f}"
                for model in evaluation.models
            ],
            "",
        )
        memories = [author.memorisation if author else None for author in authors]
        table.add_row(
            "text copied", *["" if each is None else interval(each.copied_share) for each in memories]
        )
        table.add_row(
            "longest copy", *["" if each is None else f"{each.longest:,} characters" for each in memories]
        )
    Console().print(table)
