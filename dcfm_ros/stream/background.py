"""The common branch beside the frames: on a thread of its own, at its own pace or in turns with the frames."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from dcfm_ros.stream.common_feature import CommonFeature, KeyFrame
from dcfm_ros.stream.pace import Abandoned, Pace
from dcfm_ros.stream.priority import lower_priority
from dcfm_ros.stream.spare_time import SpareTime
from dcfm_ros.stream.turns import Turns
from dcfm_ros.stream.worker import Compute, OnError, Worker

CLOSE_TIMEOUT_S = 0.8
CUTS = 32  # of a common branch at its own pace: so often it notices that the stream was reset or closed


class Beside(Protocol):
    """A common branch for the worker's thread."""

    def __call__(self, frame: KeyFrame, before: CommonFeature | None, pace: Pace) -> CommonFeature:
        """The common feature of `frame`; calls `pace.next_piece` before each piece where it has pieces."""

    def close(self) -> None:
        """Let the call that runs end soon. Called from another thread, once."""


class BackgroundWorker(Worker):
    """Computes on a thread of its own, at its own pace. Of the requests that wait, the newest wins.

    The first common feature of a stream is computed at once, while the frame waits: there is nothing to do beside it.

    On a machine whose cores are never free, an idle thread would never end. So a request that comes while it is at work
    and the common feature in use is older than `overdue_ms` (message time) is computed on a second thread, at the
    priority of the frames.

    compute: for the first and for what is overdue. beside: for all others. idle: the thread gives way to everything
    else on the machine. changed: guards the state and tells of its changes, where that is shared.
    """

    def __init__(
        self,
        compute: Compute,
        on_error: OnError | None,
        beside: Beside,
        *,
        idle: bool,
        overdue_ms: float = math.inf,
        changed: threading.Condition | None = None,
    ) -> None:
        super().__init__(compute, on_error)
        self._beside = beside
        self._idle = idle
        self._overdue_ns = overdue_ms * 1e6
        self._busy = self._urgent = False
        self._changed = changed or threading.Condition()
        self._request: KeyFrame | None = None
        self._closing = False
        # A daemon, so that a common branch that hangs cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name="dcfm common branch", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> bool:
        return self._request is not None

    def submit(self, frame: KeyFrame) -> None:
        if self.newest is None:
            self._refresh(frame, self._era, self._compute)
            return
        with self._changed:
            if self._overdue(frame):
                self._urgent = True
                threading.Thread(target=self._hurry, args=(frame, self._era), daemon=True).start()
            else:
                self._request = frame
                self._changed.notify_all()

    def forget(self) -> None:
        with self._changed:
            self._request = None
            super().forget()
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            already, self._closing = self._closing, True
            self.forget()
        if not already:
            self._beside.close()
        self._thread.join(CLOSE_TIMEOUT_S)

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
            with contextlib.suppress(Abandoned):
                self._refresh(frame, era, functools.partial(self._beside, pace=self._pace(frame, era)))
            self._busy = False

    def _pace(self, frame: KeyFrame, era: int) -> Pace:
        return OwnPace(functools.partial(self._in_vain, frame, era))

    def _in_vain(self, frame: KeyFrame, era: int) -> bool:
        """The stream was reset or closed meanwhile, or a newer frame's common feature is there."""
        newest = self.newest
        return era != self._era or (newest is not None and newest.index > frame.index)

    def _overdue(self, frame: KeyFrame) -> bool:
        newest = self.newest
        late = newest is not None and frame.time_ns - newest.time_ns > self._overdue_ns
        return late and self._busy and not self._urgent

    def _hurry(self, frame: KeyFrame, era: int) -> None:
        self._refresh(frame, era, self._compute)
        self._urgent = False

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        with self._changed:
            if feature is not None and self.newest is not None and feature.index < self.newest.index:
                feature = None
            super()._finish(era, feature, error)


class OwnPace(Pace):
    """One piece after the other; the cuts only serve to stop early."""

    pieces = CUTS

    def __init__(self, abandoned: Callable[[], bool]) -> None:
        self._abandoned = abandoned

    def next_piece(self) -> None:
        if self._abandoned():
            raise Abandoned


class SlicedWorker(BackgroundWorker):
    """Computes one piece after each frame's own work, and never while a frame is worked on, of any stream.

    Where frames leave no time between them, they go first until a common feature would be older than `max_age_ms`; then
    they wait. Where frames of several streams overlap all the time, a piece that has missed its turn takes the next one
    all the same. pieces: how many; 0: as few as make a piece fit into the time that is left between two frames, but no
    more than `max_age_ms` allows. turns: shared with the other streams.
    """

    def __init__(
        self,
        compute: Compute,
        on_error: OnError | None,
        beside: Beside,
        *,
        pieces: int,
        max_age_ms: float = math.inf,
        turns: Turns | None = None,
    ) -> None:
        self._turns = turns or Turns()
        self._spare = SpareTime(pieces, max_age_ms)
        self._underway: _InTurns | None = None
        self._waits = self._after_frame = self._missed = False
        super().__init__(compute, on_error, beside, idle=False, changed=self._turns.changed)
        self._turns.join(self)

    def submit(self, frame: KeyFrame) -> None:
        if self.newest is None:
            self._spare.frame_waits()
        super().submit(frame)

    def pause(self) -> None:
        now_ms = 1e3 * time.perf_counter()
        with self._changed:
            self._spare.frame_begins(now_ms)
            self._missed = self._waits and self._after_frame and self._turns.piece is not self
            self._after_frame = False
            self._turns.frame_begins(self, now_ms)
            self._changed.wait_for(lambda: self._turns.piece is None or self._closing)

    def resume(self) -> None:
        now_ms = 1e3 * time.perf_counter()
        with self._changed:
            self._spare.frame_ends(now_ms, spare=self._turns.frames <= {self})
            self._after_frame = True
            self._turns.frame_ends(self)

    def interrupted(self, now_ms: float) -> None:
        self._spare.spare_ends(now_ms)

    def close(self) -> None:
        super().close()
        self._turns.leave(self)

    def _pace(self, frame: KeyFrame, era: int) -> Pace:
        with self._changed:
            self._underway = _InTurns(self, era, frame, self._spare.pieces())
            return self._underway

    def take_turn(self, era: int) -> None:
        """Wait until a piece may begin: after the next frame's own work."""
        with self._changed:
            self._turns.piece_ends(self)
            self._waits = True
            self._changed.wait_for(lambda: self._turns.taken(self) or era != self._era)
            self._waits = False
            if era != self._era:
                self._turns.piece_ends(self)
                raise Abandoned
            self._after_frame = self._missed = False

    @property
    def late(self) -> bool:
        underway, newest = self._underway, self.newest
        if underway is None or newest is None:
            return False
        return self._spare.late(underway.age_ms(newest), underway.left)

    def may_begin(self, *, alone: bool) -> bool:
        return self._waits and self._after_frame and (alone or self._missed)

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        with self._changed:
            if feature is not None:
                self._spare.common_took(feature.common_ms)
            super()._finish(era, feature, error)
            self._turns.piece_ends(self)


class _InTurns(Pace):
    def __init__(self, worker: SlicedWorker, era: int, frame: KeyFrame, pieces: int) -> None:
        self.pieces = self.left = pieces
        self._worker, self._era, self._frame = worker, era, frame
        self._began_s = time.perf_counter()

    def age_ms(self, feature: CommonFeature) -> float:
        """How old a common feature is now."""
        since_ms = 1e3 * (time.perf_counter() - self._began_s)
        return (self._frame.time_ns - feature.time_ns) / 1e6 + since_ms

    def next_piece(self) -> None:
        self._worker.take_turn(self._era)
        self.left -= 1
