"""The time of a training: how much has passed, what share of the limit that is, and when to log and to save."""

import time

from fabula.training.setup import Sizes
from fabula.training.workers import Workers

NUM_LOG_ROWS = 500
"""About this many rows of training loss are logged."""

CHECKPOINT_SECONDS = 60.0
"""Shortest time between two checkpoints that do not follow a validation."""

CHECKPOINT_SHARE = 0.02
"""Such checkpoints take at most this share of the time."""

VALIDATED_SHARE = 0.05
"""Checkpoints after validations take at most this share of the time, unless each takes less than a second."""

WEIGHT_BYTES, CHECKPOINT_BYTES = 4, 12
"""Bytes of a parameter in the finished model, and of a trained one in a checkpoint, with AdamW's two means."""

BYTES_PER_SECOND = 250e6
"""Written to the disk, hashes included, until it is measured. A slow disk is assumed."""


class Clock:
    """Measures the seconds that one training takes, including those of earlier processes.

    All workers use the clock of the first one, so that they make the same decisions.

    Args:
        began: `time.monotonic()` when this process began its work.
        limit: seconds that the training may take; None for no limit.
        sizes: from these follow the seconds that a checkpoint and the finished model are expected to take.
    """

    def __init__(self, workers: Workers, began: float, limit: float | None, sizes: Sizes) -> None:
        self.workers = workers
        self.limit = limit
        self.seconds = 0.0
        """The last reading."""
        self.first_step: float | None = None
        """The reading when the first step began."""
        self._began = began
        self._reserve = 0.0  # for the last validation and for writing the model
        self._validation_seconds = 0.0
        self._logged = 0.0  # the reading at the last row of training loss
        self._saved = time.monotonic()
        self._save_seconds = CHECKPOINT_BYTES * sizes.num_trained / BYTES_PER_SECOND
        self._write_seconds = WEIGHT_BYTES * sizes.num_parameters / BYTES_PER_SECOND
        self._rated = time.monotonic()  # the speed is measured from this time, and from this number of tokens
        self._rated_tokens = 0

    def resume(self, seconds: float, first_step: float | None, num_tokens: int) -> None:
        """Continue from a checkpoint that was written after this many seconds and tokens."""
        self._began -= seconds
        self.first_step = first_step
        self._rated_tokens = num_tokens

    def read(self) -> float:
        """The seconds that have passed. Every worker has to call this at the same point."""
        own = time.monotonic() - self._began
        self.seconds = self.workers.from_first([own])[0] if self.workers.size > 1 else own
        return self.seconds

    def share_used(self) -> float:
        """Share of the time for steps that has passed; 0 without a limit and before the first step."""
        if self.limit is None or self.first_step is None:
            return 0.0
        allowed = self.limit - self._reserve - self.first_step
        return max(0.0, self.seconds - self.first_step) / max(1.0, allowed)

    def seconds_left(self, progress: float) -> float | None:
        """Seconds left when this share of the training is done; None while it is too early to say."""
        return self.seconds / progress * (1 - progress) if progress > 0.02 else None

    def tokens_per_second(self, num_tokens: int) -> float:
        """Speed of the steps since the last logged row, given the number of tokens so far."""
        return (num_tokens - self._rated_tokens) / max(1e-9, time.monotonic() - self._rated)

    def is_log_due(self, step: int, num_steps: int) -> bool:
        """Whether the loss of this step should be logged."""
        if self.limit is not None:
            return self.seconds - self._logged >= self.limit / NUM_LOG_ROWS
        return step % max(1, num_steps // NUM_LOG_ROWS) == 0

    def is_save_due(self, *, validated: bool = False) -> bool:
        """Whether a checkpoint is due, after a validation or without one."""
        pause = max(CHECKPOINT_SECONDS, self._save_seconds / CHECKPOINT_SHARE)
        if validated:
            pause = self._save_seconds / VALIDATED_SHARE if self._save_seconds > 1 else 0.0
        return bool(self.workers.from_first([time.monotonic() - self._saved >= pause])[0])

    def logged(self, num_tokens: int) -> None:
        """Record that a row of training loss was logged."""
        self._logged = self.seconds
        self._rated, self._rated_tokens = time.monotonic(), num_tokens

    def saved(self, seconds: float) -> None:
        """Record how many seconds the last checkpoint took."""
        self._saved, self._save_seconds = time.monotonic(), seconds
        self._rated += seconds

    def validated(self, seconds: float) -> None:
        """Record how many seconds the last validation took."""
        self._rated += seconds
        self._validation_seconds = seconds

    def reserve(self) -> float:
        """Reserve time for the last validation, from what the one before took, and for writing the model. Returns what a
        validation and saving took, in seconds; every worker has to call this at the same point."""
        seconds, save_seconds = self.workers.from_first([self._validation_seconds, self._save_seconds])
        self._reserve = 1.5 * seconds + self._write_seconds
        return seconds + save_seconds
