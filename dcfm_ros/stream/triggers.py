"""When to refresh the common feature: small classes with the same methods, made by one factory, combined by `any`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmentation import NAN, Pose

NS_PER_MS = 1e6


@dataclass(frozen=True)
class Observation:
    """What triggers can know of a frame."""

    index: int
    time_ns: int  # message time
    motion: float = NAN  # change of the picture since the last refresh, 0-1 (`Aligner.motion`); NaN: unknown
    odometry: Pose | None = None


class Trigger(Protocol):
    """One reason to refresh. Everything is measured from the last frame whose common feature was asked for."""

    name: str

    def fires(self, frame: Observation) -> bool:
        """Whether the common feature should be refreshed at this frame. Called once per frame."""

    def refreshed(self, frame: Observation) -> None:
        """The common feature of this frame was asked for."""


class Periodic:
    """Whenever what is read from a frame has grown by `period`, and the first time sooner by `head_start`."""

    def __init__(
        self, name: str, period: float, read: Callable[[Observation], int], head_start: int = 0
    ) -> None:
        self.name = name
        self._period = period
        self._read = read
        self._head_start = head_start
        self._last = 0

    def fires(self, frame: Observation) -> bool:
        return self._read(frame) - self._last >= self._period

    def refreshed(self, frame: Observation) -> None:
        self._last = self._read(frame) - self._head_start
        self._head_start = 0


def every_frames(frames: int, phase: float) -> Periodic:
    """Every `frames` frames; the first time sooner by `phase` (0-1) of them."""
    return Periodic("interval", frames, attrgetter("index"), round(phase * frames) % frames)


def every_ms(period_ms: float, phase: float = 0.0, name: str = "time") -> Periodic:
    """Every `period_ms` of message time; the first time sooner by `phase` (0-1) of it."""
    period_ns = period_ms * NS_PER_MS
    return Periodic(name, period_ns, attrgetter("time_ns"), round(phase % 1.0 * period_ns))


class Motion:
    """The picture has changed by `threshold` (0-1)."""

    name = "motion"

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold

    def fires(self, frame: Observation) -> bool:
        return frame.motion >= self._threshold

    def refreshed(self, frame: Observation) -> None:
        """Motion is told since the last refresh already."""


class Odometry:
    """The camera has moved by `distance_m` or turned by `angle_deg`; 0 switches either off.

    Frames without a pose neither fire nor count; the first pose after the key frame then stands in for its pose.
    """

    name = "odometry"

    def __init__(self, distance_m: float, angle_deg: float) -> None:
        self._distance = distance_m or math.inf
        self._angle = math.radians(angle_deg) or math.inf
        self._key: Pose | None = None

    def fires(self, frame: Observation) -> bool:
        if frame.odometry is None:
            return False
        self._key = self._key or frame.odometry
        moved = math.dist(self._key.position, frame.odometry.position) >= self._distance
        return moved or angle_between(self._key, frame.odometry) >= self._angle

    def refreshed(self, frame: Observation) -> None:
        self._key = frame.odometry


class Disagreement(Periodic):
    """Refreshes so often that each refresh changes about `target` (0-1) of the pixels.

    How much reuse costs is only known when a new common feature arrives. The change grows with the time between the
    two, so the time until the next one is scaled by what was aimed at over what was found, by at most 2 either way.
    """

    FIRST_MS = 500.0
    MIN_MS = 50.0

    def __init__(self, target: float, longest_ms: float) -> None:
        self._target = target
        self._longest_ms = max(longest_ms, self.MIN_MS)
        first_ms = min(self.FIRST_MS, self._longest_ms)
        super().__init__("disagreement", first_ms * NS_PER_MS, attrgetter("time_ns"))

    def measured(self, agreement: float, elapsed_ms: float) -> None:
        """agreement: share of pixels (0-1) labelled alike by two common features that lie `elapsed_ms` apart."""
        factor = min(max(self._target / max(1.0 - agreement, 1e-6), 0.5), 2.0)
        self._period = min(max(elapsed_ms * factor, self.MIN_MS), self._longest_ms) * NS_PER_MS


class Triggers:
    """All triggers that a configuration switches on. `max_age` always is."""

    def __init__(self, config: StreamConfig) -> None:
        self._disagreement = (
            Disagreement(config.disagreement, config.max_age_ms) if config.disagreement else None
        )
        # The first of several that fire at the same frame gives the reason.
        choices: list[Trigger | None] = [
            every_frames(config.key_interval, config.phase) if config.key_interval else None,
            every_ms(config.key_period_ms, config.phase) if config.key_period_ms else None,
            Motion(config.motion_threshold) if config.motion_threshold else None,
            Odometry(config.odometry_distance_m, config.odometry_angle_deg)
            if config.odometry_distance_m or config.odometry_angle_deg
            else None,
            self._disagreement,
            every_ms(config.max_age_ms, name="max_age"),
        ]
        self._triggers = [trigger for trigger in choices if trigger]

    def cause(self, frame: Observation) -> str:
        """The name of the trigger that fires at this frame, "" if none does. Called once per frame."""
        return next((name for name in [t.name for t in self._triggers if t.fires(frame)]), "")

    def refreshed(self, frame: Observation) -> None:
        """The common feature of this frame was asked for."""
        for trigger in self._triggers:
            trigger.refreshed(frame)

    def measured(self, agreement: float, elapsed_ms: float) -> None:
        """What a refresh changed; NaN agreement is ignored."""
        if self._disagreement and not math.isnan(agreement):
            self._disagreement.measured(agreement, elapsed_ms)


def angle_between(a: Pose, b: Pose) -> float:
    """Angle of the rotation between two poses, radians, 0-π. Quaternions need not have unit length."""
    qa, qb = a.orientation, b.orientation
    length = math.hypot(*qa) * math.hypot(*qb)
    if length == 0.0:  # an odometry source without orientation
        return 0.0
    return 2.0 * math.acos(min(1.0, abs(sum(x * y for x, y in zip(qa, qb, strict=True))) / length))
