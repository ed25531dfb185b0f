"""Where the robot was when each frame was taken, from the odometry that was recorded beside the images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.table import counted
from dcfm_ros.media.bags import Bag, Stamps
from dcfm_ros.media.messages import ODOMETRY
from dcfm_ros.stream.segmentation import Pose


class RecordedOdometry:
    """The poses of a bag's topic, for frames that are asked for in their order.

    topic: "" for the only one there is.
    Raises DcfmError: no such topic, or a choice of them, which the message lists.
    """

    def __init__(self, bag: Bag, topic: str) -> None:
        self.topic = _choose(bag, topic)
        self._stamps = Stamps(bag, self.topic)
        self._messages: Iterator[tuple[str, int, Any]] = bag.messages(self.topic)
        self._pose: Pose | None = None
        self._missed, self._problem = 0, ""
        self._next = self._read()

    def at(self, stamp_ns: int) -> Pose | None:
        """The newest pose that is not younger than a frame: the one that a node had then. None before the first."""
        while self._next is not None and self._next[0] <= stamp_ns:
            self._pose = self._next[1]
            self._next = self._read()
        self._missed += self._pose is None
        return self._pose

    @property
    def problem(self) -> str:
        """Why frames were without a pose, or with an old one; "" where none was."""
        early = f"{counted(self._missed, 'frame')} came before the first message of {self.topic}"
        return "; ".join(text for text in (early if self._missed else "", self._problem) if text)

    def _read(self) -> tuple[int, Pose] | None:
        try:
            entry = next(self._messages, None)
        except DcfmError as error:
            self._problem, entry = str(error), None
        if entry is None:
            return None
        _, time_ns, message = entry
        return self._stamps.of(message, time_ns), Pose.of(message)


def _choose(bag: Bag, topic: str) -> str:
    found = [each.name for each in bag.topics if each.type == ODOMETRY and each.count]
    if topic in found or (not topic and len(found) == 1):
        return topic or found[0]
    there = f"it has {', '.join(found)}; choose with --odometry" if found else "it has none at all"
    raise DcfmError(
        f"Triggers on odometry (odometry_distance_m, odometry_angle_deg) need {topic or 'one topic'} of {ODOMETRY} in the bag "
        f"{bag.path}: {there}."
    )
