"""The writing page of a project. Only one model is in memory at a time."""

import threading
from dataclasses import replace
from urllib.parse import quote

from starlette.applications import Starlette

from fabula.generation.settings import SamplingSettings
from fabula.models.find import find_model
from fabula.models.records import ModelRecords
from fabula.progress import silent
from fabula.serving.app import Place, make_app
from fabula.serving.serve import guarded, load_copies, load_warm
from fabula.serving.settings import Limits
from fabula.studio_server.projects import Project

LIMITS = Limits(max_per_minute=600)
"""Limits for one person on their own machine."""


class Desk:
    """The application of the project that was used last for writing.

    Args:
        place: where the studio is shown.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._shown: tuple[Project, float] | None = None
        self._app: Starlette | None = None

    def open(self, project: Project) -> Starlette:
        """The application that writes with the model of a project; blocks while the model is loaded.

        Raises:
            FabulaError: there is no model yet, or it is damaged.
        """
        with self._lock:
            folder = find_model(project.folder)
            shown = (project, (folder / "config.json").stat().st_mtime)
            if self._app is None or self._shown != shown:
                self.close()
                records, _ = ModelRecords.readable(folder)
                engine = load_warm(folder)
                engine.copies = copies = load_copies(records.corpus_folder, silent)
                settings = guarded(SamplingSettings.of_model(folder), records, copies)
                learn = f"../../api/projects/{quote(project.name)}/learn"
                place = replace(self._place, guess=True, learn=learn)
                self._app = make_app(
                    engine, records, settings=settings, limits=LIMITS, copies=copies, place=place
                )
                self._shown = shown
            return self._app

    def release(self, project: Project) -> None:
        """Release the model if it is this project's."""
        with self._lock:
            if self._shown is not None and self._shown[0] == project:
                self.close()

    def close(self) -> None:
        """Release the model."""
        if self._app is not None:
            self._app.state.queue.close()
        self._app = self._shown = None
