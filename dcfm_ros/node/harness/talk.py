"""How the demo's processes talk with the command that started them: events as JSON on stdout, words on stdin."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

import rclpy

from dcfm_ros.errors import DcfmError


def say(event: str, **values: Any) -> None:
    """Write one event for the parent to read."""
    print(json.dumps({"event": event, **values}), flush=True)


class Words:
    """What the parent says: one word per line; the end of stdin is the word "end" (the parent wants us, or is, gone)."""

    END = "end"

    def __init__(self) -> None:
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = False
        threading.Thread(target=self._read, name="words", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._words.put(line.strip())
        self._words.put(self.END)

    def next(self, seconds: float = 0.0) -> str | None:
        """The next word; None if there is none within `seconds`. After "end" there is nothing but "end"."""
        if self._ended:
            return self.END
        try:
            word = self._words.get(timeout=seconds) if seconds else self._words.get_nowait()
        except queue.Empty:
            return None
        self._ended = word == self.END
        return word


def run_process(work: Callable[[Words], None]) -> int:
    """Do a process's work in a ROS context of its own; its exit status. The parent is told what the user can act on."""
    words = Words()
    rclpy.init(args=[])
    try:
        work(words)
    except DcfmError as error:
        say("error", message=str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()
    return 0
