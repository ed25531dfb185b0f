"""The workers that compute key frames in the background, in simulated time."""

from __future__ import annotations

import collections
import contextlib
import functools
import math
from collections.abc import Generator
from dataclasses import dataclass

from dcfm_ros.replay.simulation import VirtualTime
from dcfm_ros.stream.common_feature import CommonBranch, CommonFeature, KeyFrame
from dcfm_ros.stream.spare_time import SpareTime
from dcfm_ros.stream.worker import Compute, OnError, Worker


@dataclass(frozen=True)
class _Refresh:
    """A common branch at work: the result that becomes known at `done_ms`."""

    done_ms: float
    feature: CommonFeature | None
    error: Exception | None
    era: int


class SimulatedThread(Worker):
    """A thread of its own in simulated time: a result is there once its measured duration has passed.

    As in the real one the frames go on meanwhile, of the requests that wait the newest wins, and the first common
    feature of a stream is computed at once, while the frame waits. Not simulated: that frames and common branch slow
    each other down where they share cores, nor what happens where none is free: the real one computes what is overdue
    at the frames' priority.

    compute: for that first one. beside: for all others.
    """

    def __init__(
        self, time: VirtualTime, compute: Compute, on_error: OnError | None, beside: Compute
    ) -> None:
        self._newest: CommonFeature | None = None
        self._request: KeyFrame | None = None
        self._at_work: _Refresh | None = None
        self._time = time
        self._beside = beside
        super().__init__(compute, on_error)

    @property
    def newest(self) -> CommonFeature | None:  # type: ignore[override]
        """The newest common feature that is finished by now."""
        self._settle()
        return self._newest

    @newest.setter
    def newest(self, value: CommonFeature | None) -> None:
        self._newest = value

    @property
    def waiting(self) -> bool:
        self._settle()
        return self._request is not None

    def submit(self, frame: KeyFrame) -> None:
        self._settle()
        self._request = frame
        self._settle()

    def wait(self) -> CommonFeature:
        while self.newest is None and self._at_work is not None:
            self._time.set(max(self._time.now_ms, self._at_work.done_ms))
        return super().wait()

    def forget(self) -> None:
        self._settle()
        self._request = None
        super().forget()

    def _settle(self) -> None:
        """Bring everything up to now: finish what is done, and begin what waited for it."""
        while True:
            begin_ms = self._time.now_ms
            if self._at_work is not None:
                if self._at_work.done_ms > begin_ms:
                    return
                # A request that waited was begun when the one before was done, not when somebody looks.
                refresh, self._at_work = self._at_work, None
                begin_ms = refresh.done_ms
                self._finish(refresh.era, refresh.feature, refresh.error)
            if self._request is None:
                return
            frame, self._request = self._request, None
            self._at_work = self._begin(frame, begin_ms)

    def _begin(self, frame: KeyFrame, begin_ms: float) -> _Refresh:
        feature: CommonFeature | None = None
        failure: Exception | None = None
        with self._time.aside() as took_ms:
            compute = self._beside if self._newest is not None else self._compute
            try:
                feature = compute(frame, self._newest)
            except Exception as error:  # kept, counted and reported, as the real worker does
                failure = error
        if failure is not None:
            self._report(failure)
        return _Refresh(begin_ms + took_ms(), feature, failure, self._era)


@dataclass
class _InPieces:
    """A common branch under way: its pieces that are left, and what came of it with the last one."""

    steps: Generator[None, None, CommonFeature] | None
    era: int
    ended: bool = False
    feature: CommonFeature | None = None
    error: Exception | None = None

    def next_piece(self) -> None:
        assert self.steps is not None
        try:
            next(self.steps)
        except StopIteration as end:
            self.ended, self.feature = True, end.value
        except Exception as error:  # kept, counted and reported, as the real worker does
            self.ended, self.error = True, error


class SimulatedSlices(Worker):
    """Slices in simulated time: after each frame's own work one piece of the common branch, done for real and measured.

    The frame is done by then; the next one waits for the piece only if it comes before the piece is done. As in the
    real one the newest request wins, the first common feature of a stream is computed at once, while the frame waits,
    and the time between frames decides on the number of pieces. Not simulated: that a piece slows down what else is
    done between two frames, which is publishing and decoding; nor that frames which leave no time between them go
    before pieces as long as `max_age_ms` allows.

    pieces: how many; 0: as few as make a piece fit into the time that the stream leaves between two frames, but no more
    than `max_age_ms` allows.
    """

    def __init__(
        self,
        time: VirtualTime,
        branch: CommonBranch,
        on_error: OnError | None,
        *,
        pieces: int,
        max_age_ms: float = math.inf,
    ) -> None:
        super().__init__(branch, on_error)
        self._time = time
        self._branch = branch
        self._spare = SpareTime(pieces, max_age_ms)
        self._request: KeyFrame | None = None
        self._at_work: _InPieces | None = None
        self._free_ms = 0.0  # when the last piece is done
        self._ready: set[int] = set()  # numbers of pieces that have been computed before

    @property
    def waiting(self) -> bool:
        return self._request is not None

    def submit(self, frame: KeyFrame) -> None:
        if self.newest is None:
            self._spare.frame_waits()
            self._refresh(frame, self._era, self._compute)
            return
        self._request = frame
        self._begin()

    def pause(self) -> None:
        came_ms = self._time.now_ms
        if self._free_ms <= came_ms:
            self._settle()
        self._spare.frame_begins(came_ms)
        self._time.set(max(came_ms, self._free_ms))
        self._settle()

    def resume(self) -> None:
        done_ms = self._time.now_ms
        self._spare.frame_ends(done_ms)
        if self._at_work is not None and not self._at_work.ended:
            with self._time.aside() as took_ms:
                self._at_work.next_piece()
            self._free_ms = done_ms + took_ms()

    def forget(self) -> None:
        self._request = None
        if self._at_work is not None and not self._at_work.ended:
            self._at_work = None
        super().forget()

    def _begin(self) -> None:
        """Take the request that waits, if nothing else is at work."""
        if self._request is None or self._at_work is not None:
            return
        frame, self._request = self._request, None
        pieces = self._spare.pieces()
        cut = functools.partial(self._branch.in_pieces, frame, self.newest, pieces)
        with self._time.aside():
            try:
                if pieces not in self._ready:
                    # What is done once (compiling, allocating) would be measured as if pieces took that long.
                    self._ready.add(pieces)
                    with contextlib.suppress(Exception):  # which comes again when it counts
                        collections.deque(cut(), maxlen=0)
                self._at_work = _InPieces(cut(), self._era)
            except Exception as error:
                self._at_work = _InPieces(None, self._era, ended=True, error=error)

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        if feature is not None:
            self._spare.common_took(feature.common_ms)
        super()._finish(era, feature, error)

    def _settle(self) -> None:
        """Swap the common feature whose last piece is done, and begin what waited for that."""
        done = self._at_work
        if done is not None and done.ended:
            self._at_work = None
            self._finish(done.era, done.feature, done.error)
            if done.error is not None:
                self._report(done.error)
            self._begin()
