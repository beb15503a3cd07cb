"""`fabula clean` and `fabula restore`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.options import with_options
from fabula.cli.terminal import say, visible
from fabula.corpus.options import CleaningOptions, ReadingOptions, WorkerOptions
from fabula.formatting import format_percent
from fabula.install import command

if TYPE_CHECKING:
    from fabula.corpus.clean import CleanResult


@with_options
def clean(
    context: typer.Context,
    stories: Annotated[
        list[str],
        typer.Argument(
            metavar="STORIES",
            help="Files, archives or folders of files, their URLs, or hub:user/dataset.",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[
        str | None,
        typer.Option(help="Folder of the corpus, or a URL.", show_default="STORIES' name + .corpus"),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would be done, and write nothing.")
    ] = False,
    jsonl: Annotated[
        Path | None, typer.Option(help="Also write kept stories here, as rows {source_line, text}.")
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(help="Review file saved from review.html, which says what to undo or confirm."),
    ] = None,
    reading: ReadingOptions,
    options: CleaningOptions,
    workers: WorkerOptions,
) -> None:
    """Clean stories into a corpus, and record all that is removed.

    The stories stay whole: `fabula restore` shows what a story was, and --decisions undoes a removal.
    """
    from fabula.corpus.clean import clean

    with context.obj as terminal:
        result = clean(
            stories,
            None if preview else out or default_folder(stories[0]),
            options,
            reading=reading,
            workers=workers,
            decisions=decisions,
            jsonl=jsonl,
            on_progress=terminal,
        )
    print_result(result)


def default_folder(stories: str) -> str:
    """ "stories.jsonl.gz" -> "stories.corpus", in the folder where the command is given."""
    name = stories.rstrip("/").rpartition("/")[2] or "stories"
    return f"{name.split('.')[0] or 'stories'}.corpus"


def print_result(result: "CleanResult") -> None:
    """Print what cleaning did, in a few lines."""
    from fabula.corpus.judge import overview

    counts = result.counts
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in counts.num_dropped.items())
    for label, text in overview(counts):
        say(f"{label:<9} {visible(text)}", " " * 10)
    if dropped:
        print(f"dropped   {dropped}")
    if counts.num_left_out:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in counts.num_left_out.items())
        print(f"not read  {left_out}" + (" (in the ledger)" if result.corpus else ""))
    words = counts.words_kept + counts.words_removed
    share = f" ({format_percent(counts.words_removed / words, 2)} of all words)" if words else ""
    doubtful = f", {counts.num_doubtful:,} of them doubtful" if counts.num_doubtful else ""
    noun = "note" if counts.num_removals == 1 else "notes"
    print(f"removed   {counts.num_removals:,} {noun}, {counts.words_removed:,} words{share}{doubtful}")
    for rule, words in sorted(counts.words_by_rule.items(), key=lambda item: -item[1]):
        print(f"          {rule:<24} {counts.removals_by_rule[rule]:>8,}  {words:>10,} words")
    if counts.repairs:
        print("repaired  " + ", ".join(f"{count:,} {name}" for name, count in counts.repairs.items()))
    if result.corpus is None:
        print("preview: nothing was written")
        return
    print(f"corpus    {result.corpus}{' (unchanged)' if result.unchanged else ''}")
    if counts.num_doubts:
        what = (
            "1 passage that may be a note"
            if counts.num_doubts == 1
            else f"{counts.num_doubts:,} passages that may be notes"
        )
        print(f"left in   {what}: decide in the review")
    print(f"review    {result.corpus / 'review.html'}")
    out = default_model(str(result.corpus))
    print(f"next      {command('train', result.corpus, '--out', out)}")


def default_model(corpus: str) -> str:
    """ "out/tales.corpus" -> "tales.model", in the folder where the command is given."""
    return f"{Path(corpus).name.removesuffix('.corpus')}.model"


def restore(
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="Folder of the corpus.", show_default=False)
    ],
    story: Annotated[
        str,
        typer.Argument(metavar="STORY", help="The story's id, or its first characters.", show_default=False),
    ],
) -> None:
    """Print a story as it was before anything was removed."""
    from fabula.corpus.store import open_corpus

    print(open_corpus(corpus).restore(story))
