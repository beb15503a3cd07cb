"""`fabula run`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.terminal import format_seconds
from fabula.defaults import BASE, RECIPE, SEED


def run(
    context: typer.Context,
    stories: Annotated[
        str | None,
        typer.Argument(
            help="A .txt, .jsonl, .csv or .parquet file (also .gz, .zst), a folder of .txt or .md files, or"
            " hub:user/dataset. Without it: the bundled sample stories.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str,
        typer.Option(help="The model to start from: tiny (bundled), gpt2 or another hub name, or a folder."),
    ] = BASE,
    out: Annotated[
        Path | None, typer.Option(help="The folder for all results.", show_default="runs/<stories>-<n>")
    ] = None,
    recipe: Annotated[str, typer.Option(help="How to train: default, seed, lora, or a TOML file.")] = RECIPE,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn at random.")] = SEED,
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Train for at most this many minutes; the schedule is fitted to it.", min=0.01),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="How to read STORIES, if what was detected is wrong.", show_default="detected"),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="The column or field that holds the text.", show_default="found")
    ] = None,
    split_at: Annotated[
        str | None,
        typer.Option(
            help="Where stories begin: chapters, scenes, blank-lines, lines, files, markers, or a line or regular"
            " expression that stands between two stories.",
            show_default="found",
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text files.", show_default="found")
    ] = None,
) -> None:
    """Go the whole way: clean, train, evaluate, write samples, report.

    Run it again to go on where it stopped. When it is done, it does nothing.
    """
    import time

    from fabula.pipeline.run import run as run_pipeline

    began = time.monotonic()
    with context.obj as terminal:
        result = run_pipeline(
            stories,
            base=base,
            out=out,
            recipe=recipe,
            seed=seed,
            max_minutes=max_minutes,
            format=format,
            column=column,
            split_at=split_at,
            encoding=encoding,
            on_progress=terminal,
        )
    scores = {model.name: model.likelihood.bits_per_byte for model in result.evaluation.models}
    print(f"Done in {format_seconds(time.monotonic() - began)}.")
    print(
        f"  bits per byte on {result.evaluation.held_out.num_stories} held-out stories:"
        f" {scores['base'].value:.3f} before, {scores['tuned'].value:.3f} after"
    )
    print(f"  report   {result.report}")
    print(f"  model    {result.model}")
    print(f"  samples  {result.samples}")
    print("Next:")
    print(f'  fabula write {shlex.quote(str(result.model))} "Once upon a time,"')
    if base == BASE:
        again = f"fabula run {shlex.quote(stories)} --base gpt2" if stories else "fabula run --base gpt2"
        print(f"  {again}")
        print(
            "The model of this run is a toy that shows the way. GPT-2 (124 million parameters) has read English before it\n"
            "reads your stories: it writes sentences that hold together, for 0.5 GB of download and longer training."
        )
