"""The time of a whole run: predicted, elapsed and remaining."""

import time
from dataclasses import replace

from fabula.progress import OnProgress, Progress

START_SECONDS = 3.0
"""Seconds before a run starts its clock, in which Python starts and imports its libraries."""


class RunClock:
    """Passes on the progress of the stages, together with the progress of the whole run.

    Attributes:
        seconds: predicted for each stage, in their order; none until the run is planned.
    """

    def __init__(self, on_progress: OnProgress) -> None:
        self.on_progress = on_progress
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic() - START_SECONDS
        self._stage, self._stage_began = "prepare", 0.0

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def begin(self, stage: str) -> None:
        """The current stage of the plan."""
        self._stage, self._stage_began = stage, self.elapsed()

    def left(self, stated: float | None = None) -> float:
        """Seconds until the run ends.

        Args:
            stated: what the stage itself expects to need.
        """
        names = list(self.seconds)
        later = names[names.index(self._stage) + 1 :]
        here = max(0.0, self.seconds[self._stage] - (self.elapsed() - self._stage_began))
        return (here if stated is None else stated) + sum(self.seconds[name] for name in later)

    def __call__(self, progress: Progress) -> None:
        """Report the progress of a stage."""
        if self.seconds:
            stated = progress.seconds_left if progress.stage == self._stage else None
            progress = replace(progress, run_seconds=self.elapsed(), run_seconds_left=self.left(stated))
        self.on_progress(progress)
