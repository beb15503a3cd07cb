"""`fabula write`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from fabula.cli.options import Given, ModelArgument, with_options
from fabula.cli.terminal import visible
from fabula.config import Record
from fabula.defaults import SEED
from fabula.errors import FabulaError
from fabula.formatting import count_stories
from fabula.generation.settings import SamplingSettings

if TYPE_CHECKING:
    from fabula.generation.draft import Draft

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

BETWEEN_STORIES = "\n\n* * *\n\n"


class WriteOptions(Record):
    """What `fabula write` takes besides the sampling settings."""

    start: str | None = Field(
        default=None,
        description="The beginning of the story; the same as the prompt argument.",
        json_schema_extra={"flags": ["--from"]},
    )
    corpus: Path | None = Field(
        default=None,
        description="The training stories that --copy-guard protects; the default is the run's corpus.",
    )
    num_stories: int = Field(
        default=1,
        ge=1,
        description="Number of stories for each prompt.",
        json_schema_extra={"flags": ["--num-stories", "-n"]},
    )
    prompts: Path | None = Field(default=None, description="A text file with one prompt per line.")
    seed: int = Field(default=SEED, ge=0, description="Story number i, from 0, has the seed `seed + i`.")
    engine: str = Field(
        default="auto",
        description="The engine that runs the model; auto chooses the fastest one that is installed.",
    )
    batch_size: int = Field(default=8, ge=1, description="Number of stories that are written at once.")
    stream: bool | None = Field(
        default=None,
        description="Show a story while it is written, or when it is finished; the default streams one story, not several.",
    )
    as_json: bool = Field(
        default=False,
        description="Print one JSON object per line and story, with the settings.",
        json_schema_extra={"flags": ["--json"]},
    )


@with_options
def write(
    context: typer.Context,
    model: ModelArgument,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT", help="The beginning of the story; without it, the model begins the story."
        ),
    ] = "",
    *,
    options: WriteOptions,
    settings: Annotated[dict[str, Any], Given(SamplingSettings, "the model's setting")],
) -> None:
    """Write stories with a model."""
    from fabula.corpus.copies import CopyIndex
    from fabula.generation.draft import make_drafts
    from fabula.generation.engines import load_engine
    from fabula.models.find import locate_model

    if sum(bool(each) for each in (prompt, options.start, options.prompts)) > 1:
        raise FabulaError("give only one of a prompt, --from and --prompts")
    if options.stream and options.as_json:
        raise FabulaError(
            "--json prints only finished stories", where="--stream", hint="leave out one of the two"
        )
    prompts = [options.start or prompt] if options.prompts is None else read_prompts(options.prompts)
    folder = locate_model(model)
    sampling = SamplingSettings.of_model(folder).with_changes(**settings)
    with context.obj as terminal:
        engine = load_engine(folder, options.engine, on_progress=terminal)
        if options.corpus is not None:
            engine.copies = CopyIndex.of_corpus(options.corpus)
        drafts = make_drafts(engine, prompts, sampling, options.seed, options.num_stories)
        if (number := sampling.num_candidates) > 1:
            kind = "bridges" if sampling.following else "stories"
            terminal.note(f"writing {number} {kind} for each one that is printed: the best of them")
        began = time.perf_counter()
        is_whole = show(drafts, options, terminal)
        seconds = time.perf_counter() - began
        finished = [draft for draft in drafts if draft.finish_reason is not None]
        if not is_whole:
            terminal.note(
                f"stopped; {len(finished)} of {len(drafts)} stories are finished, and the same command writes the same"
                " stories again"
            )
            raise SystemExit(INTERRUPTED)
        num_tokens = sum(draft.num_tokens for draft in drafts)
        num_ended = sum(draft.finish_reason == "end" for draft in drafts)
        terminal.note(
            f"{count_stories(len(drafts))}, {num_ended} ended by the model; {num_tokens:,} tokens, {num_tokens / seconds:.0f} per second;"
            f" engine {engine.name}, seed {options.seed}"
        )


def show(drafts: "list[Draft]", options: WriteOptions, terminal: Any) -> bool:
    """Write the stories and print them.

    Returns:
        False if Ctrl-C stopped it; the stories finished by then are printed.
    """
    from fabula.generation.write import write_drafts
    from fabula.progress import silent

    stream = len(drafts) == 1 and not options.as_json if options.stream is None else options.stream
    printable = visible if sys.stdout.isatty() else str
    is_whole, shown = True, -1
    try:
        for draft, text in write_drafts(
            drafts, 1 if stream else options.batch_size, silent if stream else terminal
        ):
            if stream:
                if draft.index > shown:
                    shown = draft.index
                    sys.stdout.write((BETWEEN_STORIES if shown else "") + printable(draft.prompt))
                sys.stdout.write(printable(text))
                if draft.finish_reason is not None:
                    sys.stdout.write(printable(draft.settings.following))
                sys.stdout.flush()
    except KeyboardInterrupt:
        is_whole = False
    finished = [draft.story() for draft in drafts if draft.finish_reason is not None]
    if options.as_json:
        for story in finished:
            print(story.model_dump_json())
    elif stream:
        print()
    elif finished:
        print(BETWEEN_STORIES.join(printable(str(story) + story.settings.following) for story in finished))
    return is_whole


def read_prompts(path: Path) -> list[str]:
    """The lines of a text file that are not blank."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # Windows' editors begin files with a BOM
    except FileNotFoundError:
        raise FabulaError("no such file", where=path) from None
    except UnicodeDecodeError as error:
        raise FabulaError(
            f"this is not UTF-8 (byte {error.start})", where=path, hint="save it as UTF-8"
        ) from None
    if not (prompts := [line for line in lines if line.strip()]):
        raise FabulaError("this file has no prompt", where=path, hint="write one on each line")
    return prompts
