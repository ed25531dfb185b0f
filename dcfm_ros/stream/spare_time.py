"""How much time a stream leaves between two frames, and what fits into it."""

from __future__ import annotations

import math

MOST_PIECES = 64
SPARE_SHARE = 0.8  # of the time between two frames that a piece is meant to fill
_SMOOTHING = 8


class SpareTime:
    """Decides into how many pieces a common branch is cut of which one is computed between any two frames.

    pieces: that many; 0: as few as make a piece fit.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._spare_ms = math.inf  # between two frames, smoothed

    def add(self, spare_ms: float) -> None:
        """A frame came `spare_ms` after the one before was done."""
        before = spare_ms if math.isinf(self._spare_ms) else self._spare_ms
        self._spare_ms = before + (spare_ms - before) / _SMOOTHING

    def pieces(self, common_ms: float) -> int:
        """common_ms: the duration of the last common branch, 0 where there was none."""
        if self._pieces:
            return self._pieces
        return min(max(1, math.ceil(common_ms / max(SPARE_SHARE * self._spare_ms, 1e-3))), MOST_PIECES)
