import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.terminal import visible
from fabula.defaults import SEED
from fabula.errors import FabulaError

INTERRUPTED = 130
"""The exit code of what Ctrl-C stopped."""

BETWEEN_STORIES = "\n\n* * *\n\n"


def write(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Folder of a model.", show_default=False)],
    prompt: Annotated[
        str, typer.Argument(help="How the story begins; nothing for a story from the start.")
    ] = "",
    num_stories: Annotated[
        int, typer.Option("--num-stories", "-n", min=1, help="How many stories to write (to each prompt).")
    ] = 1,
    prompts: Annotated[
        Path | None, typer.Option(help="A text file with one prompt a line.", show_default=False)
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Longest story in tokens.", show_default="the model's setting, or 512")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="0 always takes the likeliest token.", show_default="the model's setting, or 1"),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            help="Draw from the k likeliest tokens; 0 for all.", show_default="the model's setting, or 0"
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            help="Draw from the fewest tokens with this share of the probability.",
            show_default="the model's setting, or 0.95",
        ),
    ] = None,
    min_p: Annotated[
        float | None,
        typer.Option(
            help="Leave out tokens below this share of the likeliest one's probability.",
            show_default="the model's setting, or 0",
        ),
    ] = None,
    repetition_penalty: Annotated[
        float | None,
        typer.Option(
            help="Above 1, used tokens become less likely.", show_default="the model's setting, or 1"
        ),
    ] = None,
    bare_prompt: Annotated[
        bool, typer.Option("--bare-prompt", help="Put no start token before the prompt.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Story number i (from 0) is drawn with seed + i.")] = SEED,
    engine: Annotated[
        str, typer.Option(help="What runs the model: auto takes the fastest that is installed.")
    ] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="How many stories are written at once.")] = 8,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Show a story while it is written, or when it is finished.",
            show_default="stream one story, not several",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each story, with its settings.")
    ] = False,
) -> None:
    """Write stories with a model."""
    from fabula.generation.engines import load_engine
    from fabula.generation.settings import SamplingSettings
    from fabula.generation.write import Piece
    from fabula.generation.write import write as write_pieces
    from fabula.models.load import locate_model
    from fabula.progress import silent

    if prompts is not None and prompt:
        raise FabulaError("give a prompt or a file of prompts, not both", where="--prompts")
    beginnings = [prompt] if prompts is None else read_prompts(prompts)
    if stream is None:
        stream = len(beginnings) * num_stories == 1 and not as_json
    elif stream and as_json:
        raise FabulaError("--json shows whole stories", where="--stream", hint="leave one of the two out")
    folder = locate_model(model)
    settings = SamplingSettings.of_model(folder).with_changes(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        start_of_story=False if bare_prompt else None,
    )
    shown_as = visible if sys.stdout.isatty() else str
    with context.obj as terminal:
        loaded = load_engine(folder, engine, on_progress=terminal)
        began = time.perf_counter()
        written = []
        shown = -1
        stopped = False
        try:
            for each in write_pieces(
                loaded,
                beginnings,
                settings=settings,
                seed=seed,
                num_stories=num_stories,
                batch_size=1 if stream else batch_size,
                on_progress=silent if stream else terminal,
            ):
                if not isinstance(each, Piece):
                    written.append(each)
                elif stream:
                    if each.index > shown:
                        shown = each.index
                        sys.stdout.write(
                            (BETWEEN_STORIES if shown else "") + shown_as(beginnings[shown // num_stories])
                        )
                    sys.stdout.write(shown_as(each.text))
                    sys.stdout.flush()
        except KeyboardInterrupt:
            stopped = True
        seconds = time.perf_counter() - began
        written.sort(key=lambda story: story.index)
        if as_json:
            for story in written:
                print(story.model_dump_json())
        elif stream:
            print()
        elif written:
            print(BETWEEN_STORIES.join(shown_as(story.prompt + story.text) for story in written))
        if stopped:
            terminal.note(
                f"stopped; {len(written)} of {len(beginnings) * num_stories} stories were finished, and the same command"
                " writes the same again"
            )
            raise SystemExit(INTERRUPTED)
        num_tokens = sum(story.num_tokens for story in written)
        num_ended = sum(story.finish_reason == "end" for story in written)
        terminal.note(
            f"stories {len(written)} ({num_ended} ended by the model, the others at {settings.max_new_tokens} tokens),"
            f" tokens {num_tokens:,}, {num_tokens / seconds:.0f} a second, engine {loaded.name}, seed {seed}"
        )


def read_prompts(path: Path) -> list[str]:
    """The lines of a text file that hold anything."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise FabulaError("no such file", where=path) from None
    except UnicodeDecodeError as error:
        raise FabulaError(f"this is not UTF-8 (byte {error.start})", where=path) from None
    if not (prompts := [line for line in lines if line.strip()]):
        raise FabulaError("this file holds no prompt", where=path, hint="write one a line")
    return prompts
