"""Writes the log of a training: a row for each logged step and each validation, also sent to the tracker."""

from fabula.errors import FabulaError
from fabula.results import LOG, LogRow, ValidationRow, parse_log_row, read_rows
from fabula.training.job import Job
from fabula.training.track import Tracker


class LogWriter:
    """The log in a job's work folder. Only the first worker writes one."""

    def __init__(self, job: Job) -> None:
        self.path = job.work / LOG
        self._tracker: Tracker | None = None
        if job.track is not None:
            folder = job.out.with_name(job.out.name + ".tensorboard")
            self._tracker = Tracker(job.track, folder, job.out.name, job.config)

    def append(self, row: LogRow) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(row.model_dump_json() + "\n")
        if self._tracker is not None:
            self._tracker.log(row)

    def cut(self, step: int, num_validations: int) -> None:
        """Drop the rows that were written after the checkpoint of this step and this number of validations."""
        kept: list[LogRow] = []
        validations = 0
        try:
            for number, value in read_rows(self.path):
                row = parse_log_row(value, self.path, number)
                validations += isinstance(row, ValidationRow)
                if row.step > step or validations > num_validations:
                    break
                kept.append(row)
        except FabulaError:
            pass  # a process was killed while it wrote this last row
        self.path.write_text("".join(row.model_dump_json() + "\n" for row in kept), encoding="utf-8")

    def clear(self) -> None:
        """Remove the rows of a training that left no checkpoint."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()
