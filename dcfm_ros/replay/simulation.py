"""Time that only exists on paper: what a node would do while frames arrive, worked out one frame after the other.

Processing is done for real and takes as long as it is measured to take; waiting costs nothing. So a recording of a
minute is simulated in as long as its processed frames take, and the outcome depends on the measured durations alone.
"""

from __future__ import annotations

import collections
import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from dcfm_ros.stream.common_feature import CommonBranch, CommonFeature, KeyFrame
from dcfm_ros.stream.inbox import Inbox
from dcfm_ros.stream.slice_plan import SlicePlan
from dcfm_ros.stream.worker import DeferringWorker, OnError

T = TypeVar("T")


class VirtualTime:
    """Milliseconds of simulated time: runs with `clock` while work is done, stands while paused, jumps over waiting.

    clock: seconds; durations come from its differences. Tests make theirs up.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._shift = -clock()  # seconds from the clock to simulated time

    @property
    def now_ms(self) -> float:
        return 1e3 * (self._clock() + self._shift)

    def set(self, at_ms: float) -> None:
        """Go on from there."""
        self._shift = at_ms / 1e3 - self._clock()

    @contextlib.contextmanager
    def aside(self) -> Iterator[Callable[[], float]]:
        """What is done inside costs no simulated time; call the value for the milliseconds it took for real."""
        began = self._clock()
        ended: list[float] = []
        try:
            yield lambda: 1e3 * ((ended[0] if ended else self._clock()) - began)
        finally:
            ended.append(self._clock())
            self._shift -= ended[0] - began


class SimulatedInbox(Generic[T]):
    """The inbox before one worker, in simulated time.

    The caller does the work: `turns` yields an arrival whose turn it is, and the caller sets `free_ms` to when the work
    on it is done before asking for the next one. An arrival at the very moment the worker becomes free finds it free.
    """

    def __init__(self, depth: int = 1) -> None:
        self._inbox: Inbox[tuple[T, float]] = Inbox(depth)
        self.free_ms = 0.0

    def turns(self, arrivals: Iterator[tuple[T, float]]) -> Iterator[tuple[T, float, float | None]]:
        """What became of each arrival, in the order of their fate.

        arrivals: (value, milliseconds), in order of time. Yields them with when the work on each begins, None when a
        newer one took its place.
        """
        for value, at_ms in arrivals:
            yield from self._until(at_ms)
            pushed_out = self._inbox.put((value, at_ms))
            if pushed_out is not None:
                yield *pushed_out, None
        yield from self._until(math.inf)

    def _until(self, at_ms: float) -> Iterator[tuple[T, float, float]]:
        """The turns that begin by then."""
        while self._inbox and self.free_ms <= at_ms and (entry := self._inbox.take()) is not None:
            value, arrived_ms = entry
            yield value, arrived_ms, max(self.free_ms, arrived_ms)


class SimulatedWorker(DeferringWorker):
    """Computes for real and measures; what came of it counts from when simulated time has gone so far."""

    def __init__(self, time: VirtualTime, branch: CommonBranch, on_error: OnError | None) -> None:
        super().__init__(branch, on_error)
        self._time = time
        self._due_ms = 0.0  # when what is at work is done
        self._outcome: tuple[int, CommonFeature | None, Exception | None] | None = None

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        if self.newest is None:  # the frame waits for it
            super()._finish(era, feature, error)
        else:
            self._outcome = era, feature, error

    def _swap(self) -> None:
        """What was at work is done by now."""
        if self._outcome is not None:
            outcome, self._outcome = self._outcome, None
            super()._finish(*outcome)


class SimulatedThread(SimulatedWorker):
    """A thread of its own in simulated time: a result is there once its measured duration has passed.

    Not simulated: that frames and common branch slow each other down where they share cores, nor what happens where
    none is free: the real one computes what is overdue at the frames' priority.

    branch: for the first common feature. beside: for all others.
    """

    def __init__(
        self, time: VirtualTime, branch: CommonBranch, on_error: OnError | None, beside: CommonBranch
    ) -> None:
        super().__init__(time, branch, on_error)
        self._beside = beside

    @property
    def waiting(self) -> bool:
        self._settle()
        return super().waiting

    def current(self) -> CommonFeature:
        self._settle()
        return super().current()

    def forget(self) -> None:
        self._settle()
        super().forget()

    def _defer(self, frame: KeyFrame) -> int | None:
        self._settle()
        replaced = super()._defer(frame)
        self._settle()
        return replaced

    def _settle(self) -> None:
        """Bring everything up to now: finish what is done, and begin what waited for it."""
        begin_ms = self._time.now_ms
        while True:
            if self._outcome is not None:
                if self._due_ms > self._time.now_ms:
                    return
                # A request that waited was begun when the one before was done, not when somebody looks.
                begin_ms = self._due_ms
                self._swap()
            if self._request is None:
                return
            frame, self._request = self._request, None
            with self._time.aside() as took_ms:
                self._refresh(frame, self._era, self._beside)
            self._due_ms = begin_ms + took_ms()


class SimulatedSlices(SimulatedWorker):
    """Slices in simulated time: after each frame's own work one piece of the common branch, done for real and measured.

    The frame is done by then; the next one waits for the piece only if it comes before the piece is done. Not
    simulated: that a piece slows down what else is done between two frames, which is publishing and decoding; nor that
    frames which leave no time between them go before pieces as long as `max_age_ms` allows.
    """

    def __init__(
        self, time: VirtualTime, branch: CommonBranch, on_error: OnError | None, plan: SlicePlan
    ) -> None:
        super().__init__(time, branch, on_error)
        self._plan = plan
        self._underway: Iterator[None] | None = None
        self._ready: set[int] = set()  # numbers of pieces that have been computed before

    def pause(self) -> None:
        came_ms = self._time.now_ms
        if self._due_ms <= came_ms:
            self._settle()
        self._plan.frame_begins(came_ms, waits=self.newest is None)
        self._time.set(max(came_ms, self._due_ms))
        self._settle()

    def resume(self) -> None:
        done_ms = self._time.now_ms
        self._plan.frame_ends(done_ms)
        if self._underway is not None and self._outcome is None:
            with self._time.aside() as took_ms:
                next(self._underway, None)
            self._due_ms = done_ms + took_ms()

    def forget(self) -> None:
        self._request = None
        self._settle()
        self._underway = None
        super().forget()

    def _defer(self, frame: KeyFrame) -> None:
        super()._defer(frame)
        self._begin()

    def _settle(self) -> None:
        """Swap the common feature whose last piece is done, and begin what waited for that."""
        if self._outcome is not None:
            self._swap()
            self._underway = None
            self._begin()

    def _begin(self) -> None:
        """Take the request that waits, if nothing else is at work."""
        if self._request is None or self._underway is not None:
            return
        frame, self._request = self._request, None
        count = self._plan.pieces()
        with self._time.aside():
            if count not in self._ready:
                # What is done once (compiling, allocating) would be measured as if pieces took that long.
                self._ready.add(count)
                with contextlib.suppress(Exception):  # which comes again when it counts
                    collections.deque(self._branch.in_pieces(frame, self.newest, count), maxlen=0)
            self._underway = self._pieces(frame, self._era, self._branch, count)
            next(self._underway, None)

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        self._plan.finished(feature)
        super()._finish(era, feature, error)
