"""Ctrl-C and SIGTERM while a model is trained: the work in hand is put away first."""

import signal
import threading
from types import FrameType, TracebackType


class Interrupted(BaseException):
    """Raised inside a step or a validation that is given up; caught by the training loop."""


class Interrupt:
    """While it is entered, the first SIGINT or SIGTERM only raises a flag; a second one works as it did before.

    Signals reach Python's main thread only; elsewhere nothing is caught, and the flag stays down.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
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
