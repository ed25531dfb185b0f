"""How player and recorder are controlled by the command that starts them: commands on stdin, events as JSON on stdout."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

import rclpy

from dcfm_ros.errors import DcfmError


def report(event: str, **values: Any) -> None:
    """Write one event for the parent to read."""
    print(json.dumps({"event": event, **values}), flush=True)


class Commands:
    """What the parent asks for, one command per line. The end of stdin counts as "end": the parent is gone."""

    END = "end"

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = False
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._waiting.put(line.strip())
        self._waiting.put(self.END)

    def next(self, seconds: float = 0.0) -> str | None:
        """The next command; None if none comes within `seconds`. After "end" it is always "end"."""
        if self._ended:
            return self.END
        try:
            command = self._waiting.get(timeout=seconds) if seconds else self._waiting.get_nowait()
        except queue.Empty:
            return None
        self._ended = command == self.END
        return command


def run_process(work: Callable[[Commands], None]) -> int:
    """Do a process's work in a ROS context of its own; returns its exit status. The parent is told of DcfmErrors."""
    commands = Commands()
    rclpy.init(args=[])
    try:
        work(commands)
    except DcfmError as error:
        report("error", message=str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()
    return 0
