"""`fabula doctor`."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.options import BASE_HELP, RECIPE_HELP
from fabula.cli.terminal import say
from fabula.defaults import RECIPE
from fabula.formatting import format_duration, format_parameters
from fabula.install import command

if TYPE_CHECKING:
    from fabula.training.choose_base import BaseComparison


def doctor(
    context: typer.Context,
    stories: Annotated[
        str | None,
        typer.Argument(
            metavar="STORIES", help="Stories, or a corpus, to predict a training for.", show_default=False
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help=BASE_HELP, show_default="compare those of `fabula bases`")
    ] = None,
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = RECIPE,
) -> None:
    """Show what this machine can do, and what a training will take.

    The time and memory of a training on STORIES are predicted. The prediction is a measurement: it trains for a few seconds on the first stories, and saves nothing. Bases that are not on
    this machine are predicted from their size, and for a recipe with sharding only the memory of each GPU is calculated.
    """
    from fabula.models.bases import BASES, TINY
    from fabula.models.find import cached_names, is_at_hand
    from fabula.training.recipe import load_recipe

    _show_machine()
    at_hand = [base.name for base in BASES if is_at_hand(base.name)]
    print(f"bases      offline: {', '.join([*at_hand, *cached_names()])}, or a folder")
    if stories is None:
        print(f"next       {command('run', '--base', TINY)}")
        say(
            "           runs every stage on the bundled stories in a minute or two; with a file of stories, doctor predicts the"
            " training on them",
            indent=" " * 11,
        )
        return
    if load_recipe(recipe).sharding != "none":
        _show_sharded(base, recipe)
        return
    if base is None:
        from fabula.training.choose_base import compare_bases

        with context.obj as terminal:
            comparison = compare_bases(stories, recipe=recipe, on_progress=terminal)
        _show_comparison(comparison, stories)
        return
    _show_prediction(stories, base, recipe)


def _show_machine() -> None:
    import platform

    import psutil
    import torch

    from fabula.files import library_versions
    from fabula.models.device import best_device, device_name

    versions = library_versions("torch", "transformers", "tokenizers")
    print(f"python     {platform.python_version()}; " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    print(f"processor  {psutil.cpu_count(logical=False)} cores; threads in use: {torch.get_num_threads()}")
    memory = psutil.virtual_memory()
    print(f"memory     {memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB of it free")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    device = best_device()
    print(f"GPU        {', '.join(gpus) or ('none' if device.type == 'cpu' else device_name(device))}")


def _show_prediction(stories: str, base: str, recipe: str) -> None:
    from fabula.training.predict import predict_training

    expected = predict_training(stories, base=base, recipe=recipe)
    print(
        f"stories    {expected.num_stories:,}; {expected.num_tokens:,} training tokens in an epoch, {expected.num_steps:,} steps"
    )
    print(f"model      {format_parameters(expected.num_parameters)} parameters on {expected.device}")
    print(f"speed      {expected.tokens_per_second:,.0f} tokens/s, measured")
    print(f"time       {format_duration(expected.seconds)}")
    print(f"memory     {expected.memory_gb:.1f} GB peak ({expected.free_memory_gb:.1f} GB free)")
    print(f"disk       {expected.disk_gb:.1f} GB during training ({expected.free_disk_gb:.1f} GB free)")
    if expected.smaller_recipe is not None:
        say(
            f"fits       --recipe {expected.smaller_recipe}, with {expected.smaller_memory_gb:.1f} GB; the time, speed and disk"
            " space are for it"
        )
    elif expected.memory_gb > expected.free_memory_gb:
        say(
            "warning    this machine has less free memory than that, with any recipe; choose a smaller base model"
        )
    if expected.disk_gb > expected.free_disk_gb:
        print("warning    the disk has less free space than that")
    fitting = expected.smaller_recipe or recipe
    print(
        f"next       {command('run', stories, '--base', base, *([] if fitting == RECIPE else ['--recipe', fitting]))}"
    )


def _show_sharded(base: str | None, recipe: str) -> None:
    from fabula.models.device import free_memory_gb
    from fabula.models.find import default_base, find_model
    from fabula.training.memory import model_size, sharded_memory_gb
    from fabula.training.recipe import load_recipe

    folder = find_model(base or default_base())
    needs = [
        f"{sharded_memory_gb(load_recipe(recipe), folder, num_gpus):.0f} GB with {num_gpus}"
        for num_gpus in (2, 4, 8)
    ]
    print(f"model      {format_parameters(model_size(folder).num_parameters)} parameters")
    print(f"memory     of each GPU: {', '.join(needs)}; calculated ({free_memory_gb():.1f} GB free here)")
    print("time       not predicted for several GPUs")


def _show_comparison(comparison: "BaseComparison", stories: str) -> None:
    from fabula.training.choose_base import SHORT_RUN_SECONDS

    print()
    print("base           parameters all epochs   memory")
    for each in comparison.predictions:
        problem = "too much memory" if not each.fits else "" if each.is_quick_enough else "too slow"
        how = "measured" if each.measured else "from its size"
        print(
            f"{each.base.name:<14} {format_parameters(each.base.num_parameters):>10} {format_duration(each.seconds):>10}"
            f" {each.memory_gb:>5.1f} GB  {', '.join(filter(None, (how, problem)))}"
        )
    chosen = comparison.chosen
    seconds = max(SHORT_RUN_SECONDS, chosen.enough_seconds)
    limit = [] if chosen.seconds <= seconds else ["--max-minutes", f"{math.ceil(seconds / 60)}"]
    print()
    print(f"take       {chosen.base.name}, the best base model for stories that suits this machine")
    if comparison.larger:
        larger = comparison.larger.base
        print(
            f"or         {larger.name} ({larger.licence}), after {command('bases', '--fetch', larger.name)}"
        )
    print(f"next       {command('run', stories, '--base', chosen.base.name, *limit)}")
