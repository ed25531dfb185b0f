"""What a process is given by whoever starts it: signals to end, which are one and the same to all commands, and streams."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
Stop = Callable[[], bool]


def open_streams() -> None:
    """Open standard input, output and error where they are closed: the next files would have their numbers, and libraries
    write complaints to number 2."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


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
