"""The node's process in a soak: started, killed, measured, and read in its log."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from soak_book import Book
from soak_result import Sample

from dcfm_ros.replay.live.processes import Child, ChildProcesses, child_environment
from dcfm_ros.share import share_path

_COMPUTES = 0.25
_HANGS = 10.0
TRACEBACK = "Traceback (most recent call last)"
_END_S = 60.0


def time_is_up(patience_s: float, waited_s: float, computed_s: float) -> bool:
    """Whether to give up on a process that was waited for, and has computed meanwhile.

    Patience is for one that gets a quarter of a core. On a machine where others leave it less, loading takes minutes.
    """
    return waited_s > patience_s and (computed_s > _COMPUTES * patience_s or waited_s > _HANGS * patience_s)


class Watched:
    """One process after the other. period_s: between two samples, which are taken while masks are expected."""

    def __init__(self, folder: Path, children: ChildProcesses, book: Book, period_s: float) -> None:
        self.samples: list[Sample] = []
        self.lives = 0
        self._folder, self._children, self._book, self._period_s = folder, children, book, period_s
        self._child: Child | None = None
        self._sampled = 0.0

    def start(self, parameters: Mapping[str, str]) -> None:
        """Start the next one."""
        self.lives += 1
        words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        self._child = self._children.add(
            Child(
                "node",
                [sys.executable, "-m", "dcfm_ros.node.main", "--ros-args", *words],
                log=self._folder / f"node_{self.lives}.log",
                env=child_environment(share_path("config", "fastdds.xml")),
                cwd=self._folder,
                sends_events=False,
            )
        )

    def kill(self, fault: str) -> None:
        """End it as the kernel does when memory is short."""
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.wait(_END_S)
        self._read_log(self._child, fault)
        self._child = None

    def computed_s(self) -> float:
        """Seconds that it has computed so far, over all cores; 0 where there is none."""
        try:
            times = psutil.Process(self._child.pid).cpu_times() if self._child else None
        except psutil.NoSuchProcess:
            return 0.0
        return times.user + times.system if times else 0.0

    def log_tail(self) -> str:
        """The end of its log: what it was about when something did not come."""
        return self._child.log_tail() if self._child else ""

    def watch(self, at_s: float, fault: str) -> None:
        """It lives, has written no traceback, and now and then is measured. DcfmError when it has ended by itself."""
        child = self._child
        if child is None:
            return
        if child.status is not None:
            self._read_log(child, fault)
            raise child.failure()
        if self._book.away or time.monotonic() < self._sampled + self._period_s:
            return
        self._sampled = time.monotonic()
        self._read_log(child, fault)
        process = psutil.Process(child.pid)
        memory, threads, files = process.memory_info().rss / 2**20, process.num_threads(), process.num_fds()
        self.samples.append(Sample(self.lives, round(at_s, 1), round(memory, 2), threads, files))

    def _read_log(self, child: Child, fault: str) -> None:
        lines = child.new_log_lines()
        if any(TRACEBACK in line for line in lines):
            self._book.problem(f"a traceback in the log of the node ({fault}): {lines[-1]}")
