"""The common branch beside the frames, on a thread of its own."""

from __future__ import annotations

import logging
import math
import os
import threading

from dcfm_ros.stream.common_feature import CommonBranch, CommonFeature, KeyFrame
from dcfm_ros.stream.worker import DeferringWorker, OnError

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 0.8
CUTS = 32  # of a common branch at its own pace: so often it notices that nobody wants it any longer
LOWEST_NICENESS = 19


class BackgroundWorker(DeferringWorker):
    """Computes on a thread of its own, at its own pace.

    On a machine whose cores are never free, an idle thread would never end. So a request that comes while it is at work
    and the common feature in use is older than `overdue_ms` (message time) is computed on a second thread, at the
    priority of the frames.

    branch: for the first and for what is overdue. beside: for all others. idle: the thread gives way to everything
    else on the machine. changed: guards the state and tells of its changes, where that is shared.
    """

    def __init__(
        self,
        branch: CommonBranch,
        on_error: OnError | None,
        beside: CommonBranch,
        *,
        idle: bool,
        overdue_ms: float = math.inf,
        changed: threading.Condition | None = None,
    ) -> None:
        super().__init__(branch, on_error)
        self._beside = beside
        self._idle = idle
        self._overdue_ns = overdue_ms * 1e6
        self._busy = self._urgent = self._closing = False
        self._changed = changed or threading.Condition()
        # A daemon, so that a common branch that hangs cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name="dcfm common branch", daemon=True)
        self._thread.start()

    def forget(self) -> None:
        with self._changed:
            super().forget()
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self.forget()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _defer(self, frame: KeyFrame) -> int | None:
        with self._changed:
            if self._overdue(frame):
                self._urgent = True
                threading.Thread(target=self._hurry, args=(frame, self._era), daemon=True).start()
                return None
            replaced = super()._defer(frame)
            self._changed.notify_all()
            return replaced

    def _run(self) -> None:
        if self._idle:
            lower_priority()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._request or self._closing)
                if self._closing:
                    return
                frame, self._request, era = self._request, None, self._era
                self._busy = True
            assert frame is not None
            for _ in self._pieces(frame, era, self._beside, self._count(frame)):
                if not self._next_piece(frame, era):
                    break
            self._busy = False

    def _count(self, frame: KeyFrame) -> int:
        """Into how many pieces the common branch of `frame`, which begins, is cut."""
        return CUTS

    def _next_piece(self, frame: KeyFrame, era: int) -> bool:
        """Whether the next piece is wanted: not after a reset, nor when a newer frame's common feature is there."""
        newest = self.newest
        return era == self._era and (newest is None or newest.index <= frame.index)

    def _overdue(self, frame: KeyFrame) -> bool:
        newest = self.newest
        late = newest is not None and frame.time_ns - newest.time_ns > self._overdue_ns
        return late and self._busy and not self._urgent

    def _hurry(self, frame: KeyFrame, era: int) -> None:
        self._refresh(frame, era)
        self._urgent = False

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        with self._changed:
            if feature is not None and self.newest is not None and feature.index < self.newest.index:
                feature = None
            super()._finish(era, feature, error)


def lower_priority() -> str:
    """Let the calling thread, and those it starts from now on, run only on what nobody else wants of the cores.

    Returns what the system granted: "idle", "nice", or "" where it knows neither; that is logged and no error.
    """
    if hasattr(os, "SCHED_IDLE"):
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # 0: the calling thread
            return "idle"
        except OSError as error:
            logger.debug("idle scheduling refused: %s", error)
    try:
        # Linux keeps a niceness for each thread; elsewhere it is the whole process's, which must not be lowered.
        if os.uname().sysname == "Linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_NICENESS)
            return "nice"
    except OSError as error:
        logger.debug("niceness refused: %s", error)
    logger.info("key frames run at the priority of the frames: this system does not lower that of a thread")
    return ""
