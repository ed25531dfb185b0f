"""How much time a stream leaves between two frames, and what fits into it."""

from __future__ import annotations

import math

MOST_PIECES = 64
SPARE_SHARE = 0.8  # of the time between two frames that a piece is meant to fill
_FIRST_PIECES = 8  # until it is known how much time there is
_SMOOTHED_OVER = 8


class SpareTime:
    """Decides into how many pieces a common branch is cut of which one is computed between any two frames.

    pieces: that many; 0: as few as make a piece fit. Times are of any clock that only goes forward.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._spare_ms = 0.0  # between two frames: the mean of the first few, then smoothed
        self._known = 0
        self._done_ms: float | None = None
        self._waited = False

    def frame_begins(self, now_ms: float) -> None:
        if self._done_ms is not None:
            self._known = min(self._known + 1, _SMOOTHED_OVER)
            self._spare_ms += (now_ms - self._done_ms - self._spare_ms) / self._known

    def frame_waits(self) -> None:
        """For its own common feature: what came meanwhile begins at once after it, which says nothing of the others."""
        self._waited = True

    def frame_ends(self, now_ms: float) -> None:
        self._done_ms = None if self._waited else now_ms
        self._waited = False

    def pieces(self, common_ms: float) -> int:
        """How many. common_ms: the duration of the last common branch."""
        if self._pieces or not self._known:
            return self._pieces or _FIRST_PIECES
        return min(max(1, math.ceil(common_ms / max(SPARE_SHARE * self._spare_ms, 1e-3))), MOST_PIECES)
