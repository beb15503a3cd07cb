"""`fabula studio`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fabula.cli.options import options_of
from fabula.studio.settings import StudioSettings


@options_of("settings", StudioSettings)
def studio(
    context: typer.Context,
    settings: dict[str, Any],
    projects: Annotated[Path, typer.Argument(help="Folder of the projects: the run folders.")] = Path("runs"),
) -> None:
    """Open a page that goes the whole way in the browser: drop a file, train a model, write with it."""
    from fabula.studio.serve import studio as show_studio

    def say(address: str) -> None:
        print(f"The studio is at {address}  (Ctrl-C stops it; a run that works goes on)", flush=True)

    show_studio(projects, on_ready=say, **settings)
