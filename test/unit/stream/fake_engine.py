"""An engine whose masks say which features they come from, and whose common branch a test holds in its hand."""

from __future__ import annotations

import threading

import numpy as np

from dcfm_ros.model.config import ModelCard

CARD = ModelCard(input_size=(16, 12))
TIMEOUT_S = 60.0


class FakeEngine:
    """A frame is its first pixel's value. A mask holds the value of the key frame, a confidence that of the frame.

    `hold`: common branches wait in the middle until it is set. `begun`, `ended`: those that were, by their frames.
    `fail_next`: raised once by the next one. A common branch is cut into as many pieces as are asked for.
    """

    name, device, precision, problem = "fake", "cpu", "fp32", ""
    card = CARD

    def __init__(self) -> None:
        self.hold = threading.Event()
        self.hold.set()
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.threads: list[str] = []
        self.budget = 0
        self.fail_next: Exception | None = None

    def prepare(self, size, pieces=False):
        """Nothing has to be built."""

    def independent(self, rgb):
        return int(rgb[0, 0, 0])

    def common(self, independent):
        self.begun.append(independent)
        self.threads.append(threading.current_thread().name)
        if not self.hold.wait(TIMEOUT_S):
            raise TimeoutError("nobody let the common branch go on")
        self.ended.append(independent)
        error, self.fail_next = self.fail_next, None
        if error:
            raise error
        return independent

    def common_slices(self, independent, pieces):
        value = self.common(independent)
        for _ in range(pieces - 1):
            yield
        return value

    def background(self, threads):
        self.budget = threads
        return self

    def align(self, common, displacement):
        return common

    def move(self, logits, displacement):
        return logits

    def logits(self, common, independent):
        return common, independent

    def label_map(self, logits, size, *, confidence=False):
        common, independent = logits
        mask = np.full(size[::-1], common, np.uint8)
        return mask, np.full(size[::-1], independent, np.uint8) if confidence else None


def frame(value: int, size: tuple[int, int] = (32, 24)) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def until(condition) -> None:
    """Wait for what another thread will do. Fails after TIMEOUT_S; how long it takes changes nothing."""
    pause = threading.Event()
    for _ in range(int(TIMEOUT_S / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError("it never happened")


def workers() -> list[threading.Thread]:
    """The threads of background workers that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "dcfm common branch"]
