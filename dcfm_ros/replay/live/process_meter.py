"""How much processor and memory another process uses, its children included, while it runs."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from dcfm_ros.measure.machine_load import LoadSample

_PERIOD_S = 0.5
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
# Fields of /proc/PID/stat after the command's name: user and system time, in clock ticks.
_TIMES = slice(11, 13)


class ProcessMeter:
    """Looks at a process twice a second, from `begin` to `end`. `samples` is empty where there is no /proc."""

    def __init__(self, pid: int) -> None:
        self.samples: list[LoadSample] = []
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="process meter", daemon=True)

    def begin(self) -> None:
        """Start to look."""
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        start = last = time.monotonic()
        used = _cpu_seconds(self._pid)
        while not self._ended.wait(_PERIOD_S):
            now, busy = time.monotonic(), _cpu_seconds(self._pid)
            if busy is None or used is None:
                return
            self.samples.append(
                LoadSample(now - start, max(0.0, 100 * (busy - used) / (now - last)), _memory_mb(self._pid))
            )
            last, used = now, busy


def _family(pid: int) -> list[int]:
    """The process and all processes it has started."""
    found, new = [], [pid]
    while new:
        found += new
        new = [child for parent in new for child in _children(parent)]
    return found


def _children(pid: int) -> list[int]:
    """Of all its threads: a process is listed with the thread that has started it."""
    lines = [_read(f"/proc/{pid}/task/{thread}/children") for thread in _threads(pid)]
    return [int(child) for line in lines for child in line.split()]


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _cpu_seconds(pid: int) -> float | None:
    """Processor time used so far; None once the process has gone."""
    total, seen = 0.0, False
    for member in _family(pid):
        # The name in parentheses may hold anything, spaces and parentheses included.
        fields = _read(f"/proc/{member}/stat").rpartition(")")[2].split()
        if fields:
            total += sum(int(ticks) for ticks in fields[_TIMES]) * _TICK_S
            seen = True
    return total if seen else None


def _memory_mb(pid: int) -> float:
    """Resident memory in MiB; memory that processes share counts for each of them."""
    pages = [_read(f"/proc/{member}/statm").split() for member in _family(pid)]
    return sum(int(entry[1]) for entry in pages if entry) * _PAGE_MB


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
