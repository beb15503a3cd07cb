"""The events of a run, saved in its folder while it works. The studio shows them, also for a run that was started in
a terminal, and finds them again after it was closed or killed."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import psutil
from pydantic import Field

from fabula.config import Record
from fabula.errors import FabulaError
from fabula.progress import OnProgress, Progress, silent

EVENTS = "events.jsonl"

INTERVAL = 1.0
"""Minimum seconds between two events of the same stage that only report progress."""

MAX_BYTES = 4_000_000
"""The next process replaces a file that is longer."""

TAIL_BYTES = 100_000
"""The end of the file that is read to find the last event."""

STOPPED = "stopped"
"""The outcome of work that somebody stopped (Ctrl-C, SIGTERM)."""

DONE = "done"


class Event(Record):
    """A row of `events.jsonl`: a report of progress, or with an `outcome` the end of the work."""

    time: float
    """Seconds since 1970."""
    pid: int
    """The process that works and its start time, which together identify it."""
    started: float
    stage: str = ""
    done: float = 0
    total: float | None = None
    unit: str = ""
    values: dict[str, float] = Field(default_factory=dict)
    message: str = ""
    seconds_left: float | None = None
    run_seconds: float | None = None
    run_seconds_left: float | None = None
    outcome: str | None = None
    """DONE, STOPPED, or the sentence of an error; None while the work goes on."""

    @property
    def process(self) -> psutil.Process | None:
        """The process that wrote it, if it is still running."""
        if self.outcome is not None:
            return None
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started) < 2
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class EventLog:
    """Writes progress reports to `events.jsonl` in a folder, and passes them on. A context manager."""

    def __init__(self, folder: Path, on_progress: OnProgress = silent) -> None:
        self._path, self._on_progress = folder / EVENTS, on_progress
        self._pid = os.getpid()
        self._started = psutil.Process().create_time()
        self._last: tuple[str, float] = ("", 0.0)

    def __enter__(self) -> "EventLog":
        with suppress(OSError):
            if self._path.stat().st_size > MAX_BYTES:
                self._path.unlink()
        self._write(Progress(""))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = DONE
        if kind is not None:
            outcome = STOPPED if kind is KeyboardInterrupt else str(error) or kind.__name__
        self._write(Progress(""), outcome)

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        is_news = progress.message or "val_loss" in progress.values or progress.done == progress.total
        if is_news or progress.stage != self._last[0] or now - self._last[1] >= INTERVAL:
            self._last = (progress.stage, now)
            self._write(progress)
        self._on_progress(progress)

    def _write(self, progress: Progress, outcome: str | None = None) -> None:
        event = Event(
            time=round(time.time(), 3),
            pid=self._pid,
            started=self._started,
            outcome=outcome,
            **asdict(progress),
        )
        # The work is worth more than the record of its progress: where the disk is full, the work says so itself.
        with suppress(OSError), self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(event.model_dump_json(exclude_defaults=True) + "\n")


def read_events(folder: Path, offset: int = 0) -> tuple[list[Event], int]:
    """The events from byte `offset` of the file on, and the offset of what comes next; from its beginning where the file
    has become shorter. None where there is no file."""
    try:
        with (folder / EVENTS).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            offset = file.seek(offset if 0 <= offset <= size else 0)
            data = file.read(MAX_BYTES * 2)
    except OSError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    return [event for line in whole.splitlines() if (event := _parse(line))], offset + len(whole)


def last_event(folder: Path) -> Event | None:
    """The last event of the work in a folder, or None where there was none."""
    try:
        size = (folder / EVENTS).stat().st_size
    except OSError:
        return None
    events, _ = read_events(folder, max(0, size - TAIL_BYTES))
    return events[-1] if events else None


def _parse(line: bytes) -> Event | None:
    """The event in a line; None where a killed process left it half-written."""
    try:
        return Event.parse(json.loads(line))
    except (ValueError, FabulaError, TypeError):
        return None
