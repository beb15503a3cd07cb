"""The options for reading and cleaning. The command line and the reference are generated from these fields.

This module imports no heavy library, so that `fabula --help` is quick.
"""

from typing import Annotated, Literal

from pydantic import Field

from fabula.config import Record

SIMILARITY = 0.8
"""Two stories are near-duplicates if the Jaccard index of their word 5-grams is at least this."""

SPLIT = "90/10"


class ReadingOptions(Record):
    """How stories are read from the input."""

    format: Annotated[
        str | None,
        Field(
            description="Format of the files, if the detected one is wrong.",
            json_schema_extra={"shown": "detected"},
        ),
    ] = None
    column: Annotated[
        str | None,
        Field(description="Column or field that holds the text.", json_schema_extra={"shown": "found"}),
    ] = None
    split_at: Annotated[
        str | None,
        Field(
            description="Where stories begin: chapters, scenes, blank-lines, lines, files, or a line or regular"
            " expression that matches the line between two stories.",
            json_schema_extra={"shown": "found"},
        ),
    ] = None
    encoding: Annotated[
        str | None, Field(description="Encoding of text files.", json_schema_extra={"shown": "found"})
    ] = None
    prompt_column: Annotated[
        str | None,
        Field(
            description="Column that holds the prompt of each story, or title: the model learns to write to it. The loss counts"
            " the story alone.",
            json_schema_extra={"shown": "none"},
        ),
    ] = None
    force: Annotated[
        bool,
        Field(description="Accept the stories as they are, even if most of them are markup, JSON or binary."),
    ] = False


class Filters(Record):
    """Which stories are kept. If all fields are None, only empty stories are dropped."""

    min_words: Annotated[int | None, Field(ge=1, description="Drop shorter stories.")] = None
    max_words: Annotated[int | None, Field(ge=1, description="Drop longer stories.")] = None
    min_letters: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Drop stories with a smaller share of letters among the characters that are not white space"
            " (0 to 1).",
        ),
    ] = None
    max_repetition: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Drop stories in which a larger share of the word 5-grams occurred earlier in the same story"
            " (0 to 1).",
        ),
    ] = None
    language: Annotated[
        str | None,
        Field(
            pattern="^[a-z]{2}$",
            description="Drop stories in languages other than this one (ISO 639-1 code, such as en).",
        ),
    ] = None


class CleaningOptions(Record):
    """How stories are cleaned and split."""

    rules: Annotated[
        str,
        Field(
            description="Rule set that finds boilerplate (auto, reddit, ao3, fanfiction, wattpad, royalroad, web, gutenberg, notebook, none), or a .toml"
            " file with your own rules."
        ),
    ] = "auto"
    keep: Annotated[
        tuple[str, ...], Field(description="A rule whose findings stay in; can be given several times.")
    ] = ()
    repair: Annotated[
        bool, Field(description="Undo wrong decodings, HTML entities and invisible characters.")
    ] = True
    markdown: Annotated[
        bool, Field(description="Also remove the backslash escapes and ^(...) of Reddit's Markdown.")
    ] = False
    filters: Filters = Filters()
    copies: Annotated[
        Literal["drop", "keep", "ignore"],
        Field(
            description="Drop duplicates and near-duplicates, keep them on one side of the split, or do not look for them."
        ),
    ] = "drop"
    similarity: Annotated[
        float,
        Field(gt=0, le=1, description="Minimum Jaccard index of word 5-grams for near-duplicates."),
    ] = SIMILARITY
    split: Annotated[str, Field(description="Shares of train/validation, or of train/validation/test.")] = (
        SPLIT
    )


class WorkerOptions(Record):
    """Where the work is done. The corpus is the same, byte for byte, in each case."""

    workers: Annotated[
        int | None,
        Field(
            ge=1,
            description="Number of processes.",
            json_schema_extra={"shown": "by the size of the input"},
        ),
    ] = None
    ray: Annotated[
        str | None,
        Field(
            description="Address of a Ray cluster that does the work instead, or local (needs fabula[scale])."
        ),
    ] = None
