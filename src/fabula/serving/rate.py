"""A limit on the rate of a visitor's requests."""

import time
from collections import deque


class RateMeter:
    """Counts the requests of the last minute by key. It forgets a key that made none in that time."""

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
