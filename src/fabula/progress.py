"""How library functions report their progress. They print nothing; the caller decides what to show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """One progress report of a stage.

    Attributes:
        stage: "clean", "train", "evaluate", "write", ...
        done: units of work done so far.
        total: units in all, or None if that is unknown.
        unit: what is counted ("stories", "steps", "bytes").
        values: figures to show beside the progress bar, under the field's standard names (`train_loss`,
            `tokens_per_second`).
        message: a line for the user (a format that was detected, a decision that was made), or "".
        seconds_left: the stage's own estimate, where it is better than one from done/total.
        run_seconds: seconds since the start of the run that the stage belongs to; None outside a run, and until the run
            is planned.
        run_seconds_left: predicted seconds until that run ends.
    """

    stage: str
    done: float = 0
    total: float | None = None
    unit: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    seconds_left: float | None = None
    run_seconds: float | None = None
    run_seconds_left: float | None = None


OnProgress = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """The default listener: it ignores the report."""
