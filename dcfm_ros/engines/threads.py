"""Threads that take over parts of a caller's work, on other cores than the caller's.

Left to itself, Linux often wakes a helper on its caller's core, where it waits or makes the caller wait, because the
other cores still spin at the end of the library's work before. For a job of a millisecond that is twice the time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from dcfm_ros.config import allowed_cores

LIBC = ctypes.CDLL(None)


class Helpers:
    """At most `most` threads, made when they are needed; several callers may use them at once."""

    def __init__(self, most: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(most, name, initializer=self._register)
        self._lock = threading.Lock()
        self._places: dict[int, set[int]] = {}

    def share(self, work: Callable[[int, int], None], borders: Sequence[int]) -> None:
        """Calls `work` with each two neighbouring borders, first ones in this thread, and returns when all is done.

        A thread that gives way does all of them itself: a helper that it started would have its priority for good, and
        the other callers would wait for it; a helper that has theirs would take cores that this work is not to take.
        Raises what `work` raises.
        """
        pairs = list(zip(borders, borders[1:], strict=False))
        if len(pairs) == 1 or gives_way():
            for pair in pairs:
                work(*pair)
            return
        self._step_aside()
        others = [self._pool.submit(work, *pair) for pair in pairs[1:]]
        work(*pairs[0])
        for other in others:
            other.result()

    def _register(self) -> None:
        with self._lock:
            self._places[threading.get_native_id()] = set()

    def _step_aside(self) -> None:
        """Keeps the helpers off the core that this thread runs on, as far as it may use others."""
        others = allowed_cores() - {current_core()}
        if not others:
            return
        with self._lock:
            for thread, cores in self._places.items():
                if cores != others:
                    with contextlib.suppress(OSError):
                        os.sched_setaffinity(thread, others)
                        self._places[thread] = others


def gives_way() -> bool:
    """Whether this thread has a lower priority than its process: idle scheduling or a higher niceness.

    False where the system keeps no priority for each thread.
    """
    if not sys.platform.startswith("linux"):
        return False
    thread, process = 0, os.getpid()  # to the system, the latter is the main thread
    idle, process_idle = (os.sched_getscheduler(who) == os.SCHED_IDLE for who in (thread, process))
    niceness, process_niceness = (os.getpriority(os.PRIO_PROCESS, who) for who in (thread, process))
    return idle > process_idle or niceness > process_niceness


def current_core() -> int:
    """The core that this thread runs on now; -1 where the system does not say."""
    function = getattr(LIBC, "sched_getcpu", None)
    return -1 if function is None else int(function())
