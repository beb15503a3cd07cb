"""`fabula clean` and `fabula restore`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fabula.corpus.clean import CleanResult


class Copies(StrEnum):
    """What becomes of copies and near-copies."""

    drop = "drop"
    keep = "keep"
    ignore = "ignore"


def clean(
    context: typer.Context,
    stories: Annotated[
        str, typer.Argument(help="A file, a folder of files, or hub:user/dataset.", show_default=False)
    ],
    out: Annotated[
        str | None,
        typer.Option(help="Folder of the corpus, or a URL.", show_default="STORIES' name + .corpus"),
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="Also write kept stories here, as rows {source_line, text}.")
    ] = None,
    rules: Annotated[
        str,
        typer.Option(
            help="Rule set that finds notes (auto, reddit, web, gutenberg, seed, none ...), or a .toml file of your own."
        ),
    ] = "auto",
    keep: Annotated[
        list[str] | None, typer.Option(help="A rule whose findings stay in; may be given again.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="Review file, as saved from review.html: what to undo or confirm.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    format: Annotated[
        str | None,
        typer.Option(
            help="How the stories are written, where the detected format is wrong.", show_default="detected"
        ),
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column of the text.", show_default="found")] = None,
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
    repair: Annotated[
        bool, typer.Option(help="Undo wrong decodings, HTML entities and invisible characters.")
    ] = True,
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Take out backslash escapes and ^(...) of Reddit's markdown, too."),
    ] = False,
    copies: Annotated[
        Copies,
        typer.Option(help="Drop copies and near-copies, keep them on one side of the split, or do not look."),
    ] = Copies.drop,
    similarity: Annotated[
        float | None,
        typer.Option(
            help="Jaccard index of word 5-grams from which stories are near-copies.", show_default="0.8"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Shares of train/validation, or train/validation/test.", show_default="90/10"),
    ] = None,
    min_words: Annotated[int | None, typer.Option(help="Drop shorter stories.")] = None,
    max_words: Annotated[int | None, typer.Option(help="Drop longer stories.")] = None,
    min_letters: Annotated[
        float | None, typer.Option(help="Drop stories with a smaller share of letters (0 to 1).")
    ] = None,
    max_repetition: Annotated[
        float | None, typer.Option(help="Drop stories with a larger share of repeated 5-grams (0 to 1).")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Drop stories in other languages than this (two letters, such as en).")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="by the size of the input")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Clean on the Ray cluster at this address (needs fabula[scale]).")
    ] = None,
) -> None:
    """Clean stories into a corpus: take out what is not story, and keep a record of it that can be undone."""
    from fabula.corpus.clean import clean
    from fabula.corpus.filters import Filters

    filters = Filters.parse(
        {
            "min_words": min_words,
            "max_words": max_words,
            "min_letters": min_letters,
            "max_repetition": max_repetition,
            "language": language,
        },
        where="filters",
    )
    where = None if dry_run else out or default_folder(stories)
    settings = {"similarity": similarity, "split_ratios": split}
    with context.obj as terminal:
        result = clean(
            stories,
            where,
            format=format,
            column=column,
            split_at=split_at,
            encoding=encoding,
            rules=rules,
            keep=keep or (),
            repair=repair,
            markdown=markdown,
            filters=filters,
            copies=copies.value,
            decisions=decisions,
            jsonl=jsonl,
            num_workers=workers,
            ray=ray,
            on_progress=terminal,
            **{name: value for name, value in settings.items() if value is not None},
        )
    print_result(result)


def default_folder(stories: str) -> str:
    """ "stories.jsonl.gz" -> "stories.corpus", in the folder where the command is given."""
    name = stories.rstrip("/").rpartition("/")[2] or "stories"
    return f"{name.split('.')[0] or 'stories'}.corpus"


def print_result(result: "CleanResult") -> None:
    """What cleaning did, in a few lines."""
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in result.num_dropped.items())
    splits = ", ".join(f"{count:,} {name}" for name, count in result.splits.items())
    print(f"stories   {result.num_kept:,} of {result.num_read:,} kept ({splits})")
    if dropped:
        print(f"dropped   {dropped}")
    words = result.words_kept + result.words_removed
    share = f" ({result.words_removed / words:.2%} of all words)" if words else ""
    print(f"removed   {result.num_removals:,} notes, {result.words_removed:,} words{share}")
    for rule, count in sorted(
        result.removals_by_rule.items(), key=lambda item: -result.words_by_rule[item[0]]
    ):
        print(f"          {rule:<24} {count:>8,}  {result.words_by_rule[rule]:>10,} words")
    if result.repairs:
        print("repaired  " + ", ".join(f"{count:,} {name}" for name, count in result.repairs.items()))
    if result.corpus is None:
        print("dry run: nothing was written")
        return
    print(f"corpus    {result.corpus}{' (unchanged)' if result.unchanged else ''}")
    print(f"review    {result.corpus / 'review.html'}")
    print(f"next      fabula train {result.corpus}")


def restore(
    corpus: Annotated[Path, typer.Argument(help="Folder of the corpus.", show_default=False)],
    story: Annotated[str, typer.Argument(help="The story's id, or the beginning of it.", show_default=False)],
) -> None:
    """Print a story as it was before anything was taken out."""
    from fabula.corpus.store import restore_story

    print(restore_story(corpus, story))
