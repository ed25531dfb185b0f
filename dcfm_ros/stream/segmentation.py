"""The values that go into and come out of a stream, and what measures the time that a step took."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from dcfm_ros.arrays import Mask
from dcfm_ros.config import Size

NAN = float("nan")


@dataclass(frozen=True)
class Pose:
    """Where the camera (or the robot that carries it) is, in any fixed frame.

    position: x, y, z in metres. orientation: quaternion x, y, z, w.
    """

    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    @classmethod
    def of(cls, message: Any) -> Pose:
        """The pose of a nav_msgs/Odometry, recorded or just received."""
        position, orientation = message.pose.pose.position, message.pose.pose.orientation
        return cls(
            (position.x, position.y, position.z), (orientation.x, orientation.y, orientation.z, orientation.w)
        )

    @property
    def finite(self) -> bool:
        """Whether it says anything: odometry that has lost itself is full of NaN."""
        return all(map(math.isfinite, (*self.position, *self.orientation)))


@dataclass(frozen=True)
class Timing:
    """What a frame took, in ms. On a GPU work is awaited where its result is needed: in `label_map`.

    preprocess: resize and triggers. align: the flow, and moving the common feature (or logits) along it. independent, fuse:
    0 where logits were moved. common: the duration of the common branch that gave the common feature in use; it is part
    of `total` only where the frame waited for it.
    """

    preprocess: float
    align: float
    independent: float
    fuse: float
    label_map: float
    common: float
    total: float


@dataclass(frozen=True)
class Segmentation:
    """What became of a frame.

    mask: uint8 H×W, class ids, 255 = unlabelled.
    confidence: uint8 H×W, 0-255, the winner's softmax probability; None when it was not asked for.
    stamp_ns: the frame's stamp as it was given; its time of arrival where none was.
    size: (width, height) of the frame.
    key_frame: the common feature in use is this frame's own.
    key_stamp_ns: stamp of the frame whose common feature is in use.
    trigger: why a refresh was asked for at this frame: "first", "reset", "service" (or the reason that was given),
        "interval", "time", "motion", "odometry", "disagreement", "max_age"; "" when none was.
    age_ms, age_frames: from the key frame to this one, in message time and in frames.
    stale: the common feature is older than `max_age_ms`. The mask is made nevertheless: whoever steers by it decides.
    moved: the mask is the last frame's, moved along the flow (`independent_interval`).
    motion: change of the picture since the frame of the last refresh, 0-1, where features are aligned what alignment
        leaves of it; NaN where nothing measures it.
    agreement: on the first frame that uses a new common feature: share (0-1) of its key frame's pixels that the one
        before labels alike. Else NaN.
    errors: how many times the common branch has failed in this stream.
    error: why, if the last one did; else "".
    """

    mask: Mask
    confidence: Mask | None
    stamp_ns: int
    size: Size
    key_frame: bool
    key_stamp_ns: int
    trigger: str
    age_ms: float
    age_frames: int
    stale: bool
    moved: bool
    motion: float
    agreement: float
    errors: int
    error: str
    timing: Timing

    def answers(self, stamp_ns: int | None, size: Size, *, confidence: bool) -> bool:
        """Whether this is also what became of another frame of the same content: one of the same stamp and size.

        Two frames at 0 are two: whoever has no stamps often leaves them at 0.
        """
        if not stamp_ns or (stamp_ns, size) != (self.stamp_ns, self.size):
            return False
        return self.confidence is not None or not confidence


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._begin = self._last = time.perf_counter()

    def lap(self) -> float:
        """ms since the last call."""
        last, self._last = self._last, time.perf_counter()
        return 1e3 * (self._last - last)

    def total(self) -> float:
        """ms since the beginning."""
        return 1e3 * (time.perf_counter() - self._begin)
