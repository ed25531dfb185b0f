"""Time that only exists on paper: what a node would do while frames arrive, worked out one frame after the other.

Processing is done for real and takes as long as it is measured to take; waiting costs nothing. So a recording of a
minute is simulated in as long as its processed frames take, and the outcome depends on the measured durations alone.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from dcfm_ros.stream.inbox import Inbox

T = TypeVar("T")


class VirtualTime:
    """Milliseconds of simulated time: runs with `clock` while work is done, stands while paused, jumps over waiting.

    Args:
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


@dataclass(frozen=True)
class Turn(Generic[T]):
    """What became of an arrival: when its work began, None when a newer one took its place."""

    value: T
    arrived_ms: float
    began_ms: float | None


class SimulatedInbox(Generic[T]):
    """The inbox before one worker, in simulated time.

    The caller does the work: `turns` yields an arrival whose turn it is, and the caller sets `free_ms` to when the work
    on it is done before asking for the next one. An arrival at the very moment the worker becomes free finds it free.
    """

    def __init__(self, depth: int = 1) -> None:
        self._inbox: Inbox[tuple[T, float]] = Inbox(depth)
        self.free_ms = 0.0

    def turns(self, arrivals: Iterator[tuple[T, float]]) -> Iterator[Turn[T]]:
        """arrivals: (value, milliseconds), in order of time. Yields each of them once, in the order of their fate."""
        for value, at_ms in arrivals:
            yield from self._until(at_ms)
            pushed_out = self._inbox.put((value, at_ms))
            if pushed_out is not None:
                yield Turn(*pushed_out, None)
        yield from self._until(math.inf)

    def _until(self, at_ms: float) -> Iterator[Turn[T]]:
        """The turns that begin by then."""
        while self._inbox and self.free_ms <= at_ms and (entry := self._inbox.take()) is not None:
            value, arrived_ms = entry
            yield Turn(value, arrived_ms, max(self.free_ms, arrived_ms))
