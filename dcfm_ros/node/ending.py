"""How SIGINT and SIGTERM end the process."""

from __future__ import annotations

import gc
import os
import signal
import sys
from threading import Event, Thread
from typing import Any

from dcfm_ros.cache import remove_own_folder
from dcfm_ros.interrupts import SIGNALS
from dcfm_ros.node.fast_dds import remove_own_segments

PATIENCE_S = 0.8
SPIN_S = 0.1  # how long a signal may go unnoticed


class Ending:
    """Whether a signal has asked this process to end.

    Nothing is raised: an exception would be lost, or taken for a fault, wherever a binding happens to call back into
    Python. The main thread looks at `asked`. Where it does not get to leave within 0.8 s, since it is in the middle of
    an import or a graph's first run, the process ends there and then, with exit status 0.
    """

    def __init__(self) -> None:
        self.asked = False
        self._left = Event()
        self._signals, write = os.pipe()
        os.set_blocking(write, False)
        # Told by the C handler at once, whatever the main thread is doing; Python's handlers wait for it.
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        Thread(target=self._watch, name="ending", daemon=True).start()

    def spin(self, executor: Any) -> None:
        """Let an executor work until a signal asks to end."""
        while not self.asked:
            executor.spin_once(timeout_sec=SPIN_S)

    def leave(self, status: int) -> None:
        """End the process without shutting down the interpreter, which takes another second, or forever."""
        gc.collect()  # nodes are in reference cycles, and DDS frees its shared memory with the last reference
        sys.stdout.flush()
        sys.stderr.flush()
        self._left.set()
        os._exit(status)

    def _watch(self) -> None:
        os.read(self._signals, 1)
        self.asked = True
        if not self._left.wait(PATIENCE_S):
            remove_own_folder()
            remove_own_segments()
            os._exit(0)
