"""Ctrl-C and SIGTERM during a training: a checkpoint is written first."""

import signal
import threading
from types import FrameType, TracebackType

from fabula.stopping import STOP_SIGNALS


class Interrupted(BaseException):
    """Raised to abandon a step or a validation; the training loop catches it."""


class Interrupt:
    """A context in which the first of `STOP_SIGNALS` only sets a flag; the second one acts as usual.

    Python delivers signals to the main thread only; in other threads nothing is caught and the flag is never set.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in STOP_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._before = {}
