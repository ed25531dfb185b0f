"""How long each step took."""

from __future__ import annotations

import time


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._begin = self._last = time.perf_counter()

    def lap(self) -> float:
        """ms since the last call."""
        last, self._last = self._last, time.perf_counter()
        return 1e3 * (self._last - last)

    def total(self) -> float:
        """ms since the beginning."""
        return 1e3 * (time.perf_counter() - self._begin)
