"""Ctrl-C and SIGTERM as a wish to end, which work in progress looks at when it suits."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

Stop = Callable[[], bool]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible() -> Iterator[Stop]:
    """Yields whether Ctrl-C was pressed or SIGTERM came: the first one is only noted; the second one interrupts as usual.

    Outside the main thread, where Python has no signals, none is noted.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def note(number: int, frame: Any) -> None:
        asked.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield asked.is_set
    finally:
        restore()
