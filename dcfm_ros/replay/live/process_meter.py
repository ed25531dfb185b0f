"""How much processor and memory another process uses, its children included, while it runs."""

from __future__ import annotations

import contextlib
import threading
import time

import psutil

from dcfm_ros.measure.machine_load import LoadSample

_PERIOD_S = 0.5


class ProcessMeter:
    """Samples a process twice a second, from `begin` to `end` or until it is gone."""

    def __init__(self, pid: int) -> None:
        self.samples: list[LoadSample] = []
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="process meter", daemon=True)

    def begin(self) -> None:
        """Start sampling."""
        self._thread.start()

    def end(self) -> None:
        """Stop sampling."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._pid)
            start = last = time.monotonic()
            used, _ = _use_of(process)
            while not self._ended.wait(_PERIOD_S):
                now, (seconds, memory_mb) = time.monotonic(), _use_of(process)
                cpu_percent = max(0.0, 100 * (seconds - used) / (now - last))
                self.samples.append(LoadSample(now - start, cpu_percent, memory_mb))
                last, used = now, seconds


def _use_of(process: psutil.Process) -> tuple[float, float]:
    """Processor seconds so far and resident MiB of a process and all it has started, shared memory once for each.

    Raises:
        NoSuchProcess: it is gone.
    """
    seconds = memory_mb = 0.0
    for member in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that has ended meanwhile
            times = member.cpu_times()
            seconds += times.user + times.system
            memory_mb += member.memory_info().rss / 2**20
    return seconds, memory_mb
