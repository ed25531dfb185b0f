"""The processes of a live run: started one by one, watched and measured together, ended in order, never left behind."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.machine import LoadSample
from dcfm_ros.node.fast_dds import profile_setting

_PR_SET_PDEATHSIG = 1
_LOG_LINES = 12
_ROS_PREFIX = re.compile(r"^\[INFO\] \[[\d.]+\] \[[^]]*\]: ")


class Child:
    """A process in a session of its own, its log in a file; it is told to end when this process dies.

    name: for people. command: argument list. log: the file for its output. env: its whole environment. cwd: its
    working directory. sends_events: lines that it writes to stdout as JSON objects are events (`{"event": name,
    ...}`); else stdout is part of its log, like stderr.
    events: the newest event of each name.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path,
        sends_events: bool,
    ) -> None:
        self.name, self.log = name, log
        self._shown = 0  # bytes of the log
        self.events: dict[str, dict[str, Any]] = {}
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if sends_events else file,
                stderr=file if sends_events else subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._reader: threading.Thread | None = None
        if sends_events:
            self._reader = threading.Thread(target=self._read, name=f"{name} events", daemon=True)
            self._reader.start()
        self.pid = self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                event = json.loads(line)
                self.events[event["event"]] = event
            except (ValueError, TypeError, KeyError):
                with self.log.open("ab") as file:
                    file.write(line)

    def send(self, command: str) -> None:
        """Write a line to its stdin; does nothing if the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{command}\n".encode())
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self._process.poll()

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C would."""
        if self.status is None:
            self._process.send_signal(signal.SIGINT)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; returns whether it came in time. All its events have been read then."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if self._reader is not None:
            self._reader.join(seconds)
        return True

    def end(self, patience: float = 5.0) -> None:
        """End it: politely at first, by force after `patience` seconds."""
        self.interrupt()
        if not self.wait(patience):
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def log_tail(self) -> str:
        """The end of its log, indented."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"

    def new_log_lines(self) -> list[str]:
        """Whole lines added to its log since the last call, without ROS's time and logger name."""
        with self.log.open("rb") as file:
            file.seek(self._shown)
            lines = file.read().rpartition(b"\n")[0]
        self._shown += len(lines) + bool(lines)
        return [_ROS_PREFIX.sub("", line) for line in lines.decode(errors="replace").splitlines()]

    def failure(self) -> DcfmError:
        """What to tell the user when it has ended unexpectedly."""
        status = self.status
        how = (
            f"was killed by signal {-status}"
            if status is not None and status < 0
            else f"exited with status {status}"
        )
        return DcfmError(f"The {self.name} {how}. The end of {self.log}:\n{self.log_tail()}")


def _end_with_parent() -> None:
    """In the child, before it becomes its program: have the kernel send SIGTERM when the parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class ChildProcesses:
    """The children of a run: one that ends early makes the run fail; leaving the context ends all of them."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def add(self, child: Child) -> Child:
        self._children.append(child)
        return child

    def until(
        self, done: Callable[[], bool], *, seconds: float, waiting_for: str, may_end: Sequence[Child] = ()
    ) -> None:
        """Poll until `done()`.

        Raises DcfmError: a child has sent the event "error" or ended (other than those of `may_end`), or the
        time is up.
        """
        deadline = time.monotonic() + seconds
        while not done():
            for child in self._children:
                ended = child not in may_end and child.status is not None
                if ended:
                    child.wait(1.0)
                if "error" in child.events:
                    raise DcfmError(child.events["error"]["message"])
                if ended and done():
                    return
                if ended:
                    raise child.failure()
            if time.monotonic() > deadline:
                logs = "\n".join(f"  {child.name}:\n{child.log_tail()}" for child in self._children)
                raise DcfmError(
                    f"Gave up after waiting {seconds:.0f} s for {waiting_for}. The logs end with:\n{logs}"
                )
            time.sleep(0.02)

    def __enter__(self) -> ChildProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.interrupt()
        for child in self._children:
            child.end()


def child_environment(profile: Path) -> dict[str, str]:
    """This process's environment, with the Fast DDS profile for large images unless the user has set one."""
    environment = {**os.environ, **profile_setting(os.environ, profile)}
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


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

    Raises NoSuchProcess: it is gone.
    """
    seconds = memory_mb = 0.0
    for member in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that has ended meanwhile
            times = member.cpu_times()
            seconds += times.user + times.system
            memory_mb += member.memory_info().rss / 2**20
    return seconds, memory_mb
