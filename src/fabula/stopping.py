"""How a process of fabula is asked to stop: Ctrl-C, SIGTERM, and on Windows, which cannot send SIGTERM, Ctrl-Break."""

import signal
import sys
from typing import Protocol

STOP_SIGNALS = (
    (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    if sys.platform == "win32"
    else (signal.SIGINT, signal.SIGTERM)
)
"""The signals after which a training writes a checkpoint and ends."""


class Process(Protocol):
    """A process of `subprocess` or `psutil`."""

    def send_signal(self, sig: int, /) -> None: ...


def ask_to_stop(process: Process) -> None:
    """Ask another fabula to stop. On Windows it must have been started in a process group of its own, on the same console."""
    process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGTERM)
