"""Where frames wait for whoever segments them: a full inbox drops the oldest."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue of at most `depth` values; one thread puts them in, another takes them out."""

    def __init__(self, depth: int) -> None:
        self._waiting: deque[T] = deque(maxlen=depth)
        self._changed = threading.Condition()
        self.closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, value: T) -> T | None:
        """Add the newest value; returns the oldest one if it had to make room, else None."""
        with self._changed:
            pushed_out = self._waiting[0] if len(self._waiting) == self._waiting.maxlen else None
            self._waiting.append(value)
            self._changed.notify()
            return pushed_out

    def take(self) -> T | None:
        """Wait for the oldest value; None once the inbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.closed)
            return None if self.closed else self._waiting.popleft()

    def close(self) -> int:
        """Discard what is waiting and wake the taker for good; returns how many values were discarded."""
        with self._changed:
            discarded = len(self._waiting)
            self._waiting.clear()
            self.closed = True
            self._changed.notify_all()
            return discarded
