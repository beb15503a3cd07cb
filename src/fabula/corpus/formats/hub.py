"""Datasets on the Hugging Face hub, with one story per row."""

from collections.abc import Iterator
from typing import Any

from fabula.corpus.inputs import first_line
from fabula.errors import FabulaError
from fabula.install import missing_extra

HUB = "hub:"
"""Prefix of the name of a hub dataset."""


def is_hub(source: object) -> bool:
    """Whether what the user named is a dataset on the hub."""
    return str(source).startswith(HUB)


def load_hub(source: str) -> list[tuple[str, Any]]:
    """The splits of a hub dataset, by name. It is downloaded once and then read from the disk.

    Raises:
        FabulaError: no dataset is named, it cannot be loaded, or the `datasets` package is not installed.
    """
    name, _, config = source.removeprefix(HUB).partition(":")
    if not name.strip("/"):
        raise FabulaError(
            "no dataset is named", where=source, hint="write hub:user/dataset, or hub:user/dataset:config"
        )
    try:
        import datasets
    except ImportError:
        raise missing_extra("a dataset on the hub needs `datasets`", "hub", where=source) from None
    try:
        splits = datasets.load_dataset(name, config or None)
    except Exception as error:  # the hub's client raises many kinds
        first = first_line(error) or type(error).__name__
        raise FabulaError(
            f"this dataset cannot be loaded ({first})", where=source, hint="check its name and the network"
        ) from None
    return [(str(split), splits[split]) for split in splits]


def hub_rows(splits: list[tuple[str, Any]]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """All rows: name of the split, number of the row in it (from 1), values by column."""
    for split, dataset in splits:
        for number, row in enumerate(dataset, 1):
            yield split, number, dict(row)
