"""Long tasks of the studio: fabula commands in separate processes, one at a time.

A run continues when the studio is closed or killed, and the studio finds it again by the events in its folder. The queue is
kept in a file.
"""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from fabula.errors import FabulaError
from fabula.pipeline.events import last_event
from fabula.pipeline.run import command_words
from fabula.results import Result
from fabula.stopping import ask_to_stop
from fabula.studio_server.projects import Project, Projects

HIDDEN = ".studio"
"""The studio's own folder in the projects' folder, with its queue and the output of commands."""

OUTPUT_CHARS = 6_000
"""Number of characters at the end of a command's output that are shown."""


class Wanted(Result):
    """A command in the queue.

    Attributes:
        kind: "run", "export", "publish" (the dry run) or "upload".
        words: the command line after `fabula`.
        has_token: whether it runs with a token of the hub. The token itself is only in this process's memory.
    """

    project: str
    kind: str
    words: list[str]
    has_token: bool = False


class Queue(Result):
    waiting: list[Wanted] = Field(default_factory=list)


@dataclass
class Working:
    """A command that this studio started."""

    wanted: Wanted
    process: subprocess.Popen[Any]


@dataclass
class Jobs:
    """The queue and the running command.

    Attributes:
        problems: the last line of what a command printed that failed before its run began, by project.
    """

    projects: Projects
    problems: dict[str, str] = field(default_factory=dict)
    _working: Working | None = None
    _tokens: dict[str, str] = field(default_factory=dict)
    """Tokens of the hub, by project, until their uploads begin. They are never written to a file."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    """Requests and the clock of the studio call `submit`, `cancel` and `tick` from different threads."""

    def __post_init__(self) -> None:
        self._folder = self.projects.root / HIDDEN
        self._folder.mkdir(exist_ok=True)
        try:
            self._queue = Queue.load_optional(self._folder / "queue.json") or Queue()
        except FabulaError:  # an unreadable queue counts as empty; no project is lost
            self._queue = Queue()

    @property
    def removed(self) -> Path:
        """Where removed projects are until they are put back."""
        return self._folder / "removed"

    def run(self, project: Project) -> None:
        """Put the run of a project at the end of the queue; a stopped run continues."""
        words = command_words(project.arguments(), project.folder)[1:]
        self.submit(Wanted(project=project.name, kind="run", words=["--progress", "none", *words]))

    def submit(self, wanted: Wanted, token: str = "") -> None:
        """Put a command at the end of the queue, unless it is already in it.

        Args:
            token: of the hub, which the command gets in its environment; "" for none.
        """
        with self._lock:
            self.problems.pop(wanted.project, None)
            if token:
                self._tokens[wanted.project] = token
            if not self._is_in_queue(wanted.project, wanted.kind):
                self._queue.waiting.append(wanted)
                self._save()
            self.tick()

    def is_queued(self, project: Project, kind: str = "run") -> bool:
        return self._is_in_queue(project.name, kind)

    def _is_in_queue(self, project: str, kind: str) -> bool:
        return any((one.project, one.kind) == (project, kind) for one in self._queue.waiting)

    def is_working(self, project: Project, kind: str) -> bool:
        """Whether a command of this kind, started by this studio, is running for the project."""
        working = self._working
        return working is not None and (working.wanted.project, working.wanted.kind) == (project.name, kind)

    def is_busy(self, project: Project) -> bool:
        """Whether any command for the project waits or, started by this studio, is running."""
        working = self._working
        wanted = [*self._queue.waiting, *([working.wanted] if working else [])]
        return any(one.project == project.name for one in wanted)

    def cancel(self, project: Project) -> bool:
        """Take the run of a project out of the queue, or ask it to stop; it goes on later from where it was.

        Returns:
            Whether there was anything to stop.
        """
        with self._lock:
            if self.is_queued(project):
                self._queue.waiting = [
                    one for one in self._queue.waiting if (one.project, one.kind) != (project.name, "run")
                ]
                self._save()
                return True
        event = last_event(project.folder)
        process = event.process if event is not None else None
        if process is not None:
            ask_to_stop(process)
        return process is not None

    def tick(self) -> None:
        """Detect that a command has ended, and start the next one if none is running."""
        with self._lock:
            if self._working is not None:
                code = self._working.process.poll()
                if code is None:
                    return
                wanted, self._working = self._working.wanted, None
                if code not in (0, 130):
                    lines = self.output(wanted.project, wanted.kind).strip().splitlines()
                    self.problems[wanted.project] = lines[-1] if lines else f"it exited with code {code}"
            if self._queue.waiting and not self._is_any_working():
                wanted = self._queue.waiting.pop(0)
                try:
                    self._start(wanted)
                except OSError:  # such as a full disk: it is tried again later
                    self._queue.waiting.insert(0, wanted)
                    raise
                self._save()

    def output(self, project: str, kind: str) -> str:
        """The end of the output of the last command of a kind; "" if there was none."""
        try:
            text = self._output_path(project, kind).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return text[-OUTPUT_CHARS:]

    def _is_any_working(self) -> bool:
        """Whether a run is active, including one that was started elsewhere."""
        events = (last_event(project.folder) for project in self.projects.all())
        return any(event is not None and event.process is not None for event in events)

    def _start(self, wanted: Wanted) -> None:
        options: dict[str, Any] = {"env": dict(os.environ)}
        if wanted.has_token:
            token = self._tokens.get(wanted.project, "")
            if not token:
                self.problems[wanted.project] = "the studio was restarted before the upload; upload again"
                return
            options["env"]["HF_TOKEN"] = token
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            options["start_new_session"] = True  # Ctrl-C in the studio's terminal stops only the studio
        with self._output_path(wanted.project, wanted.kind).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fabula", *wanted.words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **options,
            )
        self._working = Working(wanted, process)
        if wanted.has_token:
            del self._tokens[wanted.project]

    def _output_path(self, project: str, kind: str) -> Path:
        return self._folder / f"{project}.{kind}.txt"

    def _save(self) -> None:
        self._queue.save(self._folder / "queue.json")
