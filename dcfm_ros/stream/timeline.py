"""Where a stream is in time, and what was asked of it from outside."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from dcfm_ros.config import Size

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moment:
    """A frame's place in its stream.

    index: its number; never used twice. stamp_ns: as it was given. time_ns: message time. size: (width, height). reset:
    nothing from before belongs to it. request: why it is to be refreshed whatever the triggers say, "" if it is not.
    """

    index: int
    stamp_ns: int
    time_ns: int
    size: Size
    reset: bool
    request: str


class Timeline:
    """Numbers the frames of a stream and finds its breaks: a jump back in time, another image size, a `reset`.

    `reset` and `request_refresh` may be called from any thread; they count from the next frame on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reset_reason = ""
        self._request = ""
        self._index = -1
        self._time_ns: int | None = None
        self._size: Size | None = None

    def reset(self, reason: str) -> None:
        with self._lock:
            self._reset_reason = reason or "asked for"

    def request_refresh(self, reason: str) -> None:
        with self._lock:
            self._request = reason

    def advance(self, stamp_ns: int, size: Size) -> Moment:
        """The next frame. stamp_ns: message time; 0: none, and the time of arrival counts. size: (width, height)."""
        time_ns = stamp_ns or time.monotonic_ns()
        with self._lock:
            reason, self._reset_reason = self._reset_reason, ""
            request, self._request = self._request, ""
        if self._time_ns is not None and time_ns < self._time_ns:
            reason = reason or f"the stamps jumped back by {(self._time_ns - time_ns) / 1e9:.3f} s"
        if self._size is not None and size != self._size:
            was, now = ("×".join(str(side) for side in s) for s in (self._size, size))
            reason = reason or f"the images changed from {was} to {now}"
        if reason:
            logger.info("stream reset: %s", reason)
        self._index, self._time_ns, self._size = self._index + 1, time_ns, size
        return Moment(self._index, stamp_ns, time_ns, size, bool(reason), request)
