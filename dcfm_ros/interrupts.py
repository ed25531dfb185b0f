"""How a run is told to end: by Ctrl-C or SIGTERM, which are one and the same to all commands."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
Stop = Callable[[], bool]


def never() -> bool:
    """The wish of a run that nobody can end early."""
    return False


@contextlib.contextmanager
def interruptible(*, listen: bool = True) -> Iterator[Stop]:
    """Yields whether Ctrl-C was pressed or SIGTERM came: the first one is only noted; the second one interrupts as usual.

    None is noted outside the main thread, where Python has no signals, or where `listen` is false.
    """
    asked = threading.Event()
    if not listen or threading.current_thread() is not threading.main_thread():
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
