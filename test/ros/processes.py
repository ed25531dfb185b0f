"""The node as a process of its own, as `ros2 run` starts it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import dcfm_ros

# In front of the installed package, where there is one: what is tested is what the tests have imported.
SOURCE = Path(dcfm_ros.__file__).resolve().parents[1]
PATIENCE_S = 5.0


class NodeProcess:
    """Runs the node's executable, or other Python code in its place; its output goes into a file."""

    def __init__(self, log, *, namespace="", code=None, arguments=(), **parameters):
        program = ["-c", code] if code else ["-m", "dcfm_ros.node.main"]
        words = ["--ros-args", *arguments]
        if namespace:
            words += ["-r", f"__ns:={namespace}"]
        for name, value in parameters.items():
            words += ["-p", f"{name}:={json.dumps(value)}"]
        self.log = Path(log)
        with self.log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *program, *words],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=SOURCE,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end(signal.SIGTERM, PATIENCE_S)  # one that is killed leaves its shared memory behind
        self.kill()

    @property
    def status(self):
        return self._process.poll()

    @property
    def pid(self):
        return self._process.pid

    def kill(self):
        """As the kernel does when memory is short: without a word."""
        self._process.kill()
        self._process.wait()

    @property
    def output(self):
        return self.log.read_text(errors="replace")

    def wait(self, seconds=60.0):
        """Exit status."""
        return self._process.wait(seconds)

    def end(self, number=signal.SIGINT, seconds=60.0):
        """Send a signal; the exit status. An idle machine needs a fraction of a second, a busy one gets time."""
        self._process.send_signal(number)
        return self._process.wait(seconds)
