"""An engine without a network, and a clock that only moves when it is told to: replays that take no time to test."""

import numpy as np

from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.job import Job
from dcfm_ros.stream.config import StreamConfig

CLASSES = ("red", "green", "blue")
COLORS = ((200, 0, 0), (0, 200, 0), (0, 0, 200))
CARD = ModelCard(name="fake", classes=CLASSES, colors=COLORS, input_size=(64, 48), licence="none")


class ManualClock:
    """Seconds that pass only in `spend`."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds

    def spend(self, ms):
        self.seconds += ms / 1e3


class FakeEngine:
    """Labels a pixel by its strongest colour, two thirds from the frame and one third from the key frame.

    `spent` maps a method to the milliseconds it takes on `clock`: a number, or a list used up call by call.
    """

    name, device, precision, problem = "fake", "cpu", "fp32", ""
    card = CARD

    def __init__(self, clock=None, **spent):
        self._clock, self._spent = clock, spent
        self.calls = []

    def _begin(self, method):
        """How many milliseconds this call of `method` takes."""
        self.calls.append(method)
        ms = self._spent.get(method, 0)
        return ms.pop(0) if isinstance(ms, list) else ms

    def _spend(self, method):
        self._pass(self._begin(method))

    def _pass(self, ms):
        if self._clock is not None:
            self._clock.spend(ms)

    def prepare(self, size, pieces=False):
        """Nothing has to be built."""

    def independent(self, rgb):
        self._spend("independent")
        return rgb[::4, ::4].astype(np.float32) / 255

    def common(self, independent):
        self._spend("common")
        return independent / 3

    def common_slices(self, independent, pieces):
        ms = self._begin("common")
        for piece in range(pieces):
            if piece:
                yield
            self._pass(ms / pieces)
        return independent / 3

    def background(self, threads):
        return self

    def logits(self, common, independent):
        self._spend("logits")
        return common + independent * 2 / 3

    def label_map(self, logits, size, *, confidence=False):
        self._spend("label_map")
        rows = np.arange(size[1]) * logits.shape[0] // size[1]
        columns = np.arange(size[0]) * logits.shape[1] // size[0]
        full = logits[rows][:, columns]
        mask = full.argmax(-1).astype(np.uint8)
        return mask, (np.clip(full.max(-1), 0, 1) * 255).astype(np.uint8) if confidence else None


def job(path, folder, **fields):
    """A replay without a video, refreshed at every third frame."""
    stream = fields.pop("stream", StreamConfig(mode="inline", key_interval=3, key_period_ms=0))
    return Job(**{"input": path, "folder": folder, "stream": stream, "video": False, **fields})


def never() -> bool:
    """Nobody asks a run to stop."""
    return False
