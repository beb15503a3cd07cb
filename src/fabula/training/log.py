"""The log of a training: a row of JSON for each logged step and each validation, and the tracker that gets them too."""

import json
from typing import Any

from fabula.results import LOG
from fabula.training.job import Job
from fabula.training.track import Tracker


class TrainingLog:
    """The log in a job's work folder. Only the first worker writes one."""

    def __init__(self, job: Job) -> None:
        self.path = job.work / LOG
        self._tracker: Tracker | None = None
        if job.track is not None:
            folder = job.out.with_name(job.out.name + ".tensorboard")
            self._tracker = Tracker(job.track, folder, job.out.name, job.manifest.config)

    def append(self, row: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._tracker is not None:
            self._tracker.log(row)

    def cut(self, step: int, num_validations: int) -> None:
        """Drop the rows that were written after the checkpoint of this step, with so many validations done."""
        rows = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.is_file() else []
        kept, validations = [], 0
        for row in rows:
            try:
                values = json.loads(row)
            except ValueError:
                break  # the last row of a process that was killed while it wrote
            validations += "val_loss" in values
            if values["step"] > step or ("val_loss" in values and validations > num_validations):
                break
            kept.append(row)
        self.path.write_text("".join(kept), encoding="utf-8")

    def clear(self) -> None:
        """Remove the rows of a training that left no checkpoint."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()
