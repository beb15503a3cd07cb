"""`fabula compare`."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of finished runs.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("comparison.html"),
) -> None:
    """Put several runs on one page: curves, figures with intervals, and what they write."""
    from fabula.report.compare import compare as compare_runs

    print(compare_runs(runs, out=out))
