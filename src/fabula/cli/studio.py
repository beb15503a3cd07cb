"""`fabula studio`."""

from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.options import with_options
from fabula.studio_server.settings import StudioSettings


@with_options
def studio(
    context: typer.Context,
    projects: Annotated[
        Path, typer.Argument(metavar="PROJECTS", help="Folder of the projects: the run folders.")
    ] = Path("runs"),
    *,
    settings: StudioSettings,
) -> None:
    """Do all of this in the browser: drop a file, train, write."""
    from fabula.studio_server.serve import studio as show_studio

    def say(address: str) -> None:
        print(f"The studio is at {address}  (Ctrl-C stops it; an active run continues)", flush=True)

    show_studio(projects, on_ready=say, **dict(settings))
