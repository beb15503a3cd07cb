"""`fabula doctor`."""

from typing import Annotated

import typer

from fabula.cli.options import BASE_HELP, BASE_SHOWN
from fabula.defaults import RECIPE
from fabula.formatting import format_duration
from fabula.install import command


def doctor(
    stories: Annotated[
        str | None,
        typer.Argument(help="Stories, or a corpus, to predict a training for.", show_default=False),
    ] = None,
    base: Annotated[str | None, typer.Option(help=BASE_HELP, show_default=BASE_SHOWN)] = None,
    recipe: Annotated[
        str, typer.Option(help="How to train: default, frozen, lora, notebook, or a TOML file.")
    ] = RECIPE,
) -> None:
    """Show what this machine can do, and predict what training on STORIES will take.

    The prediction is measured: it trains for a few seconds on the first stories, and keeps nothing.
    """
    import platform

    import psutil
    import torch

    from fabula.files import library_versions
    from fabula.models.bases import TINY
    from fabula.models.find import cached_names

    versions = library_versions("torch", "transformers", "tokenizers")
    print(f"python     {platform.python_version()}; " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    print(f"processor  {psutil.cpu_count(logical=False)} cores, {torch.get_num_threads()} threads in use")
    memory = psutil.virtual_memory()
    print(f"memory     {memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB of it free")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"GPU        {', '.join(gpus) or 'none'}")
    print(f"bases      offline: {', '.join([TINY, *cached_names()])}, or a folder")
    if stories is None:
        print(f"next       {command('doctor', 'STORIES')} predicts a training")
        return
    from fabula.training.predict import predict_training

    expected = predict_training(stories, base=base, recipe=recipe)
    print(
        f"stories    {expected.num_stories:,}; {expected.num_tokens:,} training tokens in an epoch, {expected.num_steps:,} steps"
    )
    print(f"model      {expected.num_parameters / 1e6:.1f} M parameters on {expected.device}")
    print(f"speed      {expected.tokens_per_second:,.0f} tokens/s, measured")
    print(f"time       {format_duration(expected.seconds)}")
    print(f"memory     {expected.memory_gb:.1f} GB at the peak ({expected.free_memory_gb:.1f} GB free)")
    print(f"disk       {expected.disk_gb:.1f} GB while it trains ({expected.free_disk_gb:.1f} GB free)")
    if expected.memory_gb > expected.free_memory_gb:
        print("warning    this machine has less memory free than that")
        if expected.frozen_memory_gb < expected.free_memory_gb:
            print(f"           --recipe frozen takes about {expected.frozen_memory_gb:.1f} GB")
        else:
            print("           take a smaller base")
    if expected.disk_gb > expected.free_disk_gb:
        print("warning    the disk has less space free than that")
