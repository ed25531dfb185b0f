"""A contestant in a process of its own, where it finds what its user would find.

What this package's engines set for the whole process they run in (how freed memory is kept, how many threads there are)
is not there. Times are taken in that process; sending images and masks is not in them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe
from typing import Any

import numpy as np

from dcfm_lab.bench.contestants import Entry, Setting
from dcfm_lab.measure.rounds import Laps
from dcfm_ros.arrays import Image
from dcfm_ros.errors import DcfmError

MAIN = "from own_process import serve; serve({})"
END_S = 5.0


class OwnProcess:
    """Any contestant of `setting`, in a process of its own."""

    def __init__(self, setting: Setting, entry: Entry, *, threads: int = 0) -> None:
        """Raises DcfmError, with the reason, for what cannot run here."""
        self._pipe, theirs = Pipe()
        modules = os.pathsep.join(path or os.getcwd() for path in sys.path)  # it finds what this one does
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-c", MAIN.format(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": modules},
            )
        self._ask(setting, entry, threads)

    def key(self, rgb: Image) -> Laps:
        laps: Laps = self._ask("key", rgb)
        return laps

    def other(self, rgb: Image) -> Laps:
        laps: Laps = self._ask("other", rgb)
        return laps

    def labels(self, frames: Sequence[Image]) -> np.ndarray:
        return np.asarray(self._ask("labels", frames))

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        try:
            self._child.wait(END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _ask(self, *request: Any) -> Any:
        try:
            self._pipe.send(request)
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise DcfmError(f"its process ended with exit status {self._child.wait()}") from None
        if isinstance(answer, DcfmError):
            self.close()
            raise answer
        return answer


def serve(handle: int) -> None:
    """The process: makes the contestant that it is sent first, then runs frames until its parent has no more."""
    with Connection(handle) as pipe, contextlib.suppress(EOFError):
        setting, entry, threads = pipe.recv()
        try:
            contestant = entry.build(setting, threads)
        except DcfmError as error:
            pipe.send(error)
            return
        pipe.send(None)
        while True:
            method, *images = pipe.recv()
            pipe.send(getattr(contestant, method)(*images))
