"""`fabula run`."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.options import BASE_HELP, BASE_SHOWN, RECIPE_HELP, with_options
from fabula.cli.terminal import say
from fabula.corpus.options import ReadingOptions
from fabula.defaults import BASE, RECIPE, SEED
from fabula.errors import FabulaError
from fabula.formatting import format_duration
from fabula.install import command
from fabula.progress import silent
from fabula.results import METRICS


@with_options
def run(
    context: typer.Context,
    stories: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STORIES",
            help="Files, archives or folders of files, or hub:user/dataset. The default is the bundled sample stories.",
            show_default=False,
        ),
    ] = None,
    *,
    base: Annotated[str | None, typer.Option(help=BASE_HELP, show_default=BASE_SHOWN)] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for all results.", show_default="runs/<stories>-<n>")
    ] = None,
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = RECIPE,
    seed: Annotated[int, typer.Option(help="The random seed.")] = SEED,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            help="Finish in about this many minutes. Tuning, writing and scoring are reduced to fit into at most a fifth of them.",
            show_default="6 for the bundled stories, else no limit",
            min=0.01,
        ),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(
            help="Review file saved from review.html, which says what to undo or confirm.", show_default=False
        ),
    ] = None,
    reading: ReadingOptions,
) -> None:
    """Run every stage: clean, train, evaluate, write samples, report.

    Run it again to continue where it stopped. When it is done, it does nothing.
    """
    from fabula.models.bases import TINY
    from fabula.pipeline.run import read_arguments, train_model
    from fabula.pipeline.run import run as run_pipeline

    began, started = time.monotonic(), time.time()
    if os.environ.get("WORLD_SIZE", "1") != "1" and out is None:
        raise FabulaError("several processes cannot choose the run's folder", hint="name it with --out")
    if os.environ.get("RANK", "0") != "0" and out is not None:
        train_model(out, None, silent)  # the first process does the rest
        return
    with context.obj as terminal:
        result = run_pipeline(
            stories or None,
            base=base,
            out=out,
            recipe=recipe,
            seed=seed,
            max_minutes=max_minutes,
            reading=reading,
            decisions=decisions,
            on_progress=terminal,
        )
    is_new = (result.folder / METRICS).stat().st_mtime >= started
    duration = format_duration(time.monotonic() - began)
    print(
        f"Done in {duration}." if is_new else "This run was finished before, and nothing in it has changed."
    )
    print(f"  report   {result.report}")
    print(f"  model    {result.model}")
    print(f"  samples  {result.samples}")
    print("Next:")
    opening = ("Once upon a time,",) if result.evaluation.held_out.is_english else ()
    print(f"  {command('write', result.model, *opening)}")
    arguments = read_arguments(result.folder)
    if arguments is not None and arguments.base == TINY:
        print(f"  {command('run', *(stories or ()), '--base', BASE)}")
    print("Result:")
    for sentence in result.evaluation.verdict.sentences:
        say(f"  {sentence}", "  ")
