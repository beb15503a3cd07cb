"""`fabula bases`."""

from typing import Annotated

import typer

from fabula.cli.terminal import say
from fabula.formatting import format_parameters


def bases(
    context: typer.Context,
    fetch: Annotated[
        str | None,
        typer.Option(
            help="Download this base now, so that a later run needs no network.", show_default=False
        ),
    ] = None,
) -> None:
    """List base models, with licence, size and memory.

    Each has a short name.

    Any other name on the Hugging Face hub, a model's folder, an adapter's folder and a GGUF file do as well.
    """
    from fabula.models.bases import list_bases
    from fabula.models.find import is_at_hand, locate_base

    if fetch is not None:
        from fabula.models.story_format import find_story_format
        from fabula.tokens.tokenizer import load_tokenizer

        with context.obj as terminal:
            folder = locate_base(fetch, terminal)
            find_story_format(folder, load_tokenizer(folder))  # measured once for each base, and cached
        print(folder)
        return
    print("                                                     memory, GB    bytes")
    print("name          licence           parameters  context  train  write per token  here")
    for base in list_bases():
        density = f"{base.bytes_per_token:.2f}" if base.bytes_per_token else "-"
        print(
            f"{base.name:<13} {base.licence:<17} {format_parameters(base.num_parameters):>10} {base.context_length:>8,}"
            f" {base.training_gb:>6.1f} {base.writing_gb:>6.1f} {density:>9}  {'yes' if is_at_hand(base.name) else 'no'}"
        )
    say(
        "Memory is an estimate; training is with the default recipe, and --recipe full needs up to four times as much."
    )
    say("Bytes per token are measured on the bundled stories; - means that the tokenizer was not available.")
