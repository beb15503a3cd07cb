"""`fabula train`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.options import BASE_HELP, BASE_SHOWN, RECIPE_HELP
from fabula.cli.terminal import say
from fabula.defaults import RECIPE, SEED
from fabula.formatting import format_duration
from fabula.install import command


def train(
    context: typer.Context,
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="A folder that `fabula clean` made.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The folder for the model.", show_default=False)],
    base: Annotated[str | None, typer.Option(help=BASE_HELP, show_default=BASE_SHOWN)] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Start from random weights and a vocabulary learned from the stories: tiny, small, or a config.json.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = RECIPE,
    seed: Annotated[int, typer.Option(help="The random seed.")] = SEED,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            help="Train for at most this many minutes; the schedule is fitted to this time.", min=0.01
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Resume from the last checkpoint, or start again and replace a finished model.",
        ),
    ] = True,
    further: Annotated[
        bool,
        typer.Option(
            "--continue", help="Train the finished model in OUT further, with a new learning-rate schedule."
        ),
    ] = False,
    track: Annotated[
        str | None,
        typer.Option(help="Also send the log to tensorboard, trackio or wandb.", show_default=False),
    ] = None,
) -> None:
    """Train a model on a corpus.

    Run it again to resume a training that was stopped. A finished model is never replaced unless you ask for it.
    """
    from fabula.evaluation.verdict import FEW_STEPS, describe_failure
    from fabula.results import TrainingLog
    from fabula.training.recipe import load_recipe
    from fabula.training.train import train as train_model

    with context.obj as terminal:
        result = train_model(
            corpus,
            out,
            base=base,
            init=init,
            recipe=recipe,
            seed=seed,
            max_minutes=max_minutes,
            resume=resume,
            if_trained="continue" if further else "refuse",
            track=track,
            on_progress=terminal,
        )
    if os.environ.get("RANK", "0") != "0":  # one of several processes speaks for all
        return
    if not result.is_new:
        print(f"Nothing to do: {result.model} was already trained with these arguments.")
    counts = result.counts
    say(
        f"Bits per byte on held-out stories: {counts.base_bits_per_byte:.3f} before, {counts.bits_per_byte:.3f} after"
        f" {counts.num_steps:,} steps ({counts.num_tokens:,} tokens, {format_duration(result.seconds)})."
    )
    print(f"Model: {result.model}")
    if failure := describe_failure(counts.num_steps, counts.best_step):
        say(failure)
        again = ["--continue" if further else "--no-resume"]
        for option, value in (("--base", base), ("--init", init), ("--seed", seed if seed != SEED else None)):
            again += [option, str(value)] if value is not None else []
        if max_minutes is not None and counts.num_steps < FEW_STEPS:
            again += ["--recipe", recipe, "--max-minutes", f"{4 * max_minutes:g}"]
            print(f"Next:  {command('train', corpus, '--out', out, *again)}")
            return
        if max_minutes is not None:
            again += ["--max-minutes", f"{max_minutes:g}"]
        print("Next:  add stories, or try a third of the learning rate:")
        rate = load_recipe(recipe).learning_rate or max(
            row.learning_rate for row in TrainingLog.load(result.log).steps
        )
        slower = f"{recipe},learning_rate={rate / 3:.2g}"
        print(f"  {command('train', corpus, '--out', out, *again, '--recipe', slower)}")
    else:
        print(f"Next:  {command('write', result.model, 'Once upon a time,')}")
