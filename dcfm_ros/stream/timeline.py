"""Where a stream is in time, and what was asked of it from outside."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass

from dcfm_ros.config import Size

logger = logging.getLogger(__name__)

FAR = 10  # times max_age: no time for which a common feature is kept in use while a newer one is computed
FAR_MS = 1000.0  # a pause that is shorter is none
LOG_PERIOD_S = 5.0


@dataclass(frozen=True)
class Moment:
    """A frame's place in its stream."""

    index: int  # never used twice
    stamp_ns: int  # as it was given, the time of arrival where none was
    time_ns: int  # message time, which never runs backwards between two resets
    size: Size
    reset: bool  # nothing from before belongs to it
    request: str  # why it is to be refreshed whatever the triggers say, "" if it is not


class Timeline:
    """Numbers the frames of a stream and finds its breaks: a jump in time, another image size, a `reset`.

    A frame that comes late, into a gap that those before it left, is no break: time stands still for it. Nor is one
    with the stamp of the frame before: time goes on by as much as passed between their arrivals.

    `reset` and `request_refresh` may be called from any thread; they count from the next frame on.
    """

    def __init__(self, max_age_ms: float) -> None:
        self._lock = threading.Lock()
        self._reset_reason = ""
        self._silent = False
        self._request = ""
        self._index = -1
        self._far_ns = 1e6 * max(FAR * max_age_ms, FAR_MS)
        self._stamp_ns: int | None = None  # these three are the last frame's
        self._time_ns = self._arrival_ns = 0
        self._step_ns = 0  # from one stamp to the next, when they last grew
        self._size: Size | None = None
        self._told_s, self._untold = -math.inf, 0

    def reset(self, reason: str, log: bool) -> None:
        with self._lock:
            self._reset_reason, self._silent = reason or "asked for", not log

    def request_refresh(self, reason: str) -> None:
        with self._lock:
            self._request = reason

    def advance(self, stamp_ns: int | None, size: Size, arrival_ns: int | None = None) -> Moment:
        """The next frame. stamp_ns: message time; None: the time of arrival counts. size: (width, height). arrival_ns: on
        any clock that goes on; None: now."""
        arrival_ns = time.monotonic_ns() if arrival_ns is None else arrival_ns
        stamp_ns = arrival_ns if stamp_ns is None else stamp_ns
        with self._lock:
            reason, self._reset_reason = self._reset_reason, ""
            silent, self._silent = self._silent, False
            request, self._request = self._request, ""
        if self._size is not None and size != self._size:
            was, now = ("×".join(str(side) for side in s) for s in (self._size, size))
            reason = reason or f"the images changed from {was} to {now}"
        reason = reason or self._jump(stamp_ns)
        if reason and not silent:
            self._tell(reason)
        time_ns = stamp_ns if reason or self._stamp_ns is None else self._time(stamp_ns, arrival_ns)
        if self._stamp_ns is not None and stamp_ns > self._stamp_ns and not reason:
            self._step_ns = stamp_ns - self._stamp_ns
        self._index, self._time_ns, self._size = self._index + 1, time_ns, size
        self._stamp_ns, self._arrival_ns = stamp_ns, arrival_ns
        return Moment(self._index, stamp_ns, time_ns, size, bool(reason), request)

    def _time(self, stamp_ns: int, arrival_ns: int) -> int:
        if stamp_ns == self._stamp_ns:
            return self._time_ns + max(0, arrival_ns - self._arrival_ns)
        return max(self._time_ns, stamp_ns)

    def _jump(self, stamp_ns: int) -> str:
        """Why the stamps break here, "" if they do not."""
        if self._stamp_ns is None or stamp_ns == self._stamp_ns:
            return ""
        by_ns = stamp_ns - self._stamp_ns
        if by_ns < 0 and -by_ns >= self._step_ns:
            return f"the stamps jumped back by {-by_ns / 1e9:.3f} s"
        return f"the stamps jumped ahead by {by_ns / 1e9:.3f} s" if by_ns > self._far_ns else ""

    def _tell(self, reason: str) -> None:
        """In the log, but not at every frame of a stream that breaks again and again."""
        now_s = time.monotonic()
        if now_s - self._told_s < LOG_PERIOD_S:
            self._untold += 1
            return
        others = f" (resets not logged since the last such line: {self._untold})" if self._untold else ""
        logger.info("stream reset: %s%s", reason, others)
        self._told_s, self._untold = now_s, 0
