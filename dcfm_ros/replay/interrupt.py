"""Ctrl-C between two frames: what was begun is finished, and the report is written."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any


class Interruptible:
    """As a context: the first Ctrl-C only sets `asked`; the second one interrupts as usual.

    Outside the main thread, where Python has no signals, `asked` stays false.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def __call__(self) -> bool:
        return self.asked

    def _on_signal(self, number: int, frame: Any) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._before)
