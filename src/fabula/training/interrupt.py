"""Ctrl-C and SIGTERM during a training: a checkpoint is written first."""

import os
import signal
import socket
import threading
from types import FrameType, TracebackType

from fabula.stopping import STOP_SIGNALS

PATIENCE = 300.0
"""Seconds after which a process among several ends that was asked to stop and has not: another one hangs."""


class Interrupted(BaseException):
    """Raised to abandon a step or a validation; the training loop catches it."""


class Interrupt:
    """A context in which the first of `STOP_SIGNALS` only sets a flag; the second one acts as usual.

    Python delivers signals to the main thread only; in other threads nothing is caught and the flag is never set. While the
    main thread waits in C++ for another process, nothing is delivered to it either. So with several processes a second
    thread is told of the signals, and ends this process if it does not stop within `PATIENCE`, or at a second signal.
    """

    def __init__(self, num_processes: int = 1) -> None:
        self.asked = False
        self._num_processes = num_processes
        self._before: dict[int, object] = {}
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in STOP_SIGNALS}
            if self._num_processes > 1:
                told, tells = self._ends = socket.socketpair()
                tells.setblocking(False)
                signal.set_wakeup_fd(tells.fileno())
                threading.Thread(target=_end_at_last, args=(told,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        if self._ends is not None:
            signal.set_wakeup_fd(-1)
            self._ends[1].close()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._before = {}


def _end_at_last(told: socket.socket) -> None:
    """End this process when it was asked to stop and does not, unless the other end of the socket is closed before.

    A byte arrives at each signal.
    """
    with told:
        try:
            for seconds in (None, PATIENCE, 5.0):
                told.settimeout(seconds)
                if not told.recv(1):
                    return
        except TimeoutError:
            pass
    os.write(2, b"fabula: stopped, although another process of this training does not answer\n")
    os._exit(130)
