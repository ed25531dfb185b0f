"""How much time a stream leaves between two frames, and what fits into it."""

from __future__ import annotations

import math
import statistics
from collections import deque

from dcfm_ros.engines.base import MAX_PIECES
from dcfm_ros.stream.common_feature import CommonFeature

SPARE_SHARE = 0.6
"""How much of the time between two frames a piece is to fill: in a slow spell of the machine it takes 1.6 times as long."""
LATE_SHARE = 0.9
"""In units of the age at which a mask is stale: until then pieces wait for spare time."""
_FIRST_PIECES = 8  # until it is known how much time there is
_REMEMBERED_FRAMES = 9
_REMEMBERED_KEY_FRAMES = 5


class SlicePlan:
    """Decides into how many pieces a common branch is cut of which one is computed between any two frames.

    pieces: that many; 0: as few as make a piece fit into the time between two frames, but no more than leave a common
    feature in use for `max_age_ms` at most. Times are of any clock that only goes forward.
    """

    def __init__(self, pieces: int = 0, max_age_ms: float = math.inf) -> None:
        self._pieces = pieces
        self._max_age_ms = max_age_ms
        self._began_ms: float | None = None
        self._done_ms: float | None = None
        self._interval_ms: deque[float] = deque(maxlen=_REMEMBERED_FRAMES)
        self._spare_ms: deque[float] = deque(maxlen=_REMEMBERED_FRAMES)
        self._common_ms: deque[float] = deque(maxlen=_REMEMBERED_KEY_FRAMES)
        self._waits = False

    def frame_begins(self, now_ms: float, *, waits: bool = False) -> None:
        """waits: for its own common feature. What came meanwhile begins at once after it, which says nothing of others."""
        if self._began_ms is not None:
            self._interval_ms.append(now_ms - self._began_ms)
        self._began_ms = now_ms
        self._waits = waits
        self.spare_ends(now_ms)

    def spare_ends(self, now_ms: float) -> None:
        """The time after the last frame ends, with the next one or with something else that goes first."""
        if self._done_ms is not None:
            self._spare_ms.append(now_ms - self._done_ms)
        self._done_ms = None

    def frame_ends(self, now_ms: float, *, spare: bool = True) -> None:
        """spare: nothing else that goes first is in work."""
        self._done_ms = now_ms if spare and not self._waits else None

    def finished(self, feature: CommonFeature | None) -> None:
        """A common branch is done; None: it failed."""
        if feature is not None:
            self._common_ms.append(feature.common_ms)

    def pieces(self) -> int:
        """How many."""
        return self._pieces or min(self._fitting(), self._timely())

    def late(self, age_ms: float, pieces: int) -> bool:
        """Whether a common feature of that age will be too old when so many more pieces are done, one after each frame."""
        return age_ms + pieces * self._usual_interval_ms() > LATE_SHARE * self._max_age_ms

    def _fitting(self) -> int:
        """As few as make a piece fit."""
        if not self._spare_ms:
            return _FIRST_PIECES
        # Not the mean, in which a camera that paused once leaves time for frames to come.
        spare_ms = statistics.median(self._spare_ms)
        # Not the last one: pieces that are new take longer the first time, and more pieces would be new again.
        common_ms = min(self._common_ms, default=0.0)
        return min(max(1, math.ceil(common_ms / max(SPARE_SHARE * spare_ms, 1e-3))), MAX_PIECES)

    def _timely(self) -> int:
        """As many as let a common feature, one piece after each frame, be replaced in time by the one after it."""
        return int(min(max(1.0, self._max_age_ms / max(2 * self._usual_interval_ms(), 1e-3)), MAX_PIECES))

    def _usual_interval_ms(self) -> float:
        """From one frame to the next; 0: not known yet."""
        return statistics.median(self._interval_ms) if self._interval_ms else 0.0
