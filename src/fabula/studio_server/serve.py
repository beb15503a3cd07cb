"""Serve the studio until it is stopped."""

import os
import secrets
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fabula.serving.serve import address_of, check_server, listen, run_server
from fabula.studio_server.settings import StudioSettings


def has_display() -> bool:
    """Whether a browser can open a window; on Linux a text browser would take over the terminal."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def studio(
    projects: str | Path = "runs", *, on_ready: Callable[[str], None] | None = None, **settings: Any
) -> None:
    """Show the studio. Returns when it is stopped (Ctrl-C); an active run continues.

    Args:
        projects: the folder of the projects, which are the run folders in it.
        on_ready: called with the address once it is listening.
        settings: see `StudioSettings`.

    Raises:
        FabulaError: a bad setting, the port is taken, or the `serve` extra is not installed.
    """
    chosen = StudioSettings.parse(settings, where="studio")
    check_server()
    from fabula.serving.app import Place
    from fabula.serving.guard import LOOPBACK, hosts_for
    from fabula.studio_server.app import make_studio

    with listen(chosen.host, chosen.port) as listening:
        key = None if chosen.host in LOOPBACK else secrets.token_urlsafe(16)
        place = Place(hosts=hosts_for(chosen.host))
        app = make_studio(Path(projects), place=place, max_upload_mb=chosen.max_upload_mb, key=key)
        address = address_of(chosen.host, listening) + (f"?key={key}" if key else "")
        if on_ready is not None:
            on_ready(address)
        if not chosen.no_browser and has_display():
            webbrowser.open(address)
        run_server(app, listening)
