"""How much of the machine one visitor may take, and the sentence that says so."""

import time
from collections import deque

from pydantic import Field

from fabula.config import Record


class Limits(Record):
    """What the page allows. A request beyond a limit is refused with a sentence that names the limit."""

    max_prompt_chars: int = Field(
        default=40_000, ge=1, description="Longest story that is gone on with, in characters."
    )
    max_new_tokens: int = Field(
        default=400, ge=1, description="Longest passage that is written at once, in tokens."
    )
    max_seconds: float = Field(
        default=60, gt=0, description="Longest time that one passage may take to write."
    )
    max_per_minute: int = Field(
        default=60, ge=1, description="Passages that one visitor may ask for in a minute."
    )
    max_per_address: int = Field(
        default=600,
        ge=1,
        description="Passages that all visitors of one network address may ask for in a minute.",
    )
    max_waiting: int = Field(default=64, ge=1, description="Visitors that may wait in the queue.")


class Refusal(Exception):
    """A request that is turned down. `str()` is the sentence for the visitor; `status` the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Meter:
    """Counts requests in the last minute by visitor and by address. Forgets whoever was quiet for a minute."""

    WINDOW = 60.0

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}

    def count(self, key: str, most: int) -> float:
        """Count one request of `key`.

        Returns:
            0, or where `key` has made `most` requests in the last minute, the seconds until the next is allowed.
        """
        now = time.monotonic()
        if len(self._times) > 1024:
            self._times = {
                name: times for name, times in self._times.items() if now - times[-1] < self.WINDOW
            }
        times = self._times.setdefault(key, deque())
        while times and now - times[0] >= self.WINDOW:
            times.popleft()
        if len(times) >= most:
            return self.WINDOW - (now - times[0])
        times.append(now)
        return 0.0
