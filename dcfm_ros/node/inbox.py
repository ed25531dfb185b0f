"""Where frames wait for the worker: a full inbox drops the oldest."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Hands values from the executor's thread to one worker thread."""

    def __init__(self, depth: int) -> None:
        self._waiting: deque[T] = deque(maxlen=depth)
        self._changed = threading.Condition()
        self._closed = False

    def put(self, value: T) -> int:
        """Add the newest value; returns how many older ones it pushed out (0 or 1)."""
        with self._changed:
            pushed_out = int(len(self._waiting) == self._waiting.maxlen)
            self._waiting.append(value)
            self._changed.notify()
            return pushed_out

    def take(self) -> T | None:
        """Wait for the oldest value; None once the inbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return None if self._closed else self._waiting.popleft()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def close(self) -> int:
        """Forget what waits and wake the worker up for good; returns how many values were forgotten."""
        with self._changed:
            forgotten = len(self._waiting)
            self._waiting.clear()
            self._closed = True
            self._changed.notify_all()
            return forgotten
