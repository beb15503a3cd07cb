"""How library functions say how far they are. They print nothing; whoever calls them decides what to show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a stage.

    Attributes:
        stage: "clean", "train", "evaluate", "write", ...
        done: units of work done so far.
        total: units in all, or None where nobody can know.
        unit: what is counted ("stories", "steps", "bytes").
        values: figures worth showing beside the bar, under their field-standard names (`train_loss`,
            `tokens_per_second`).
        message: a line for the reader (a format that was detected, a decision that was taken), or "".
        seconds_left: an estimate, where the stage knows better than done/total does.
        run_seconds: since the run began that the stage is part of; None outside of a run, and until it is planned.
        run_seconds_left: until that run ends, as predicted.
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
    """The listener of callers who want none."""
