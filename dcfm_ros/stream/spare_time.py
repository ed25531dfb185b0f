"""How much time a stream leaves between two frames, and what fits into it."""

from __future__ import annotations

import math
import statistics
from collections import deque

MOST_PIECES = 64
SPARE_SHARE = 0.6
"""Of the time between two frames that a piece is meant to fill: in a slow spell of the machine it takes 1.6 times as long."""
_FIRST_PIECES = 8  # until it is known how much time there is
_REMEMBERED_FRAMES = 9
_REMEMBERED_KEY_FRAMES = 5


class SpareTime:
    """Decides into how many pieces a common branch is cut of which one is computed between any two frames.

    pieces: that many; 0: as few as make a piece fit. Times are of any clock that only goes forward.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._spare_ms: deque[float] = deque(maxlen=_REMEMBERED_FRAMES)
        self._common_ms: deque[float] = deque(maxlen=_REMEMBERED_KEY_FRAMES)
        self._done_ms: float | None = None
        self._waited = False

    def frame_begins(self, now_ms: float) -> None:
        if self._done_ms is not None:
            self._spare_ms.append(now_ms - self._done_ms)

    def frame_waits(self) -> None:
        """For its own common feature: what came meanwhile begins at once after it, which says nothing of the others."""
        self._waited = True

    def frame_ends(self, now_ms: float) -> None:
        self._done_ms = None if self._waited else now_ms
        self._waited = False

    def common_took(self, ms: float) -> None:
        """A common branch is done, computed on for so long."""
        self._common_ms.append(ms)

    def pieces(self) -> int:
        """How many."""
        if self._pieces or not self._spare_ms:
            return self._pieces or _FIRST_PIECES
        # Not the mean, in which a camera that paused once leaves time for frames to come.
        spare_ms = statistics.median(self._spare_ms)
        # Not the last one: pieces that are new take longer the first time, and more pieces would be new again.
        common_ms = min(self._common_ms, default=0.0)
        return min(max(1, math.ceil(common_ms / max(SPARE_SHARE * spare_ms, 1e-3))), MOST_PIECES)
