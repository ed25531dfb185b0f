"""The images of a bag's topic as a source of frames, and where the robot was when each was taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.table import Table, counted, number
from dcfm_ros.media.bags import IMAGE_TYPES, Bag, Stamps, Topic
from dcfm_ros.media.image_decode import to_rgb
from dcfm_ros.media.messages import ODOMETRY
from dcfm_ros.media.source import Frame, Source
from dcfm_ros.stream.segmentation import Pose, Stopwatch

_NO_CAMERA = re.compile(r"/segmentation/(mask|confidence|overlay|selection)(/compressed)?$|/labels?$")
"""What this package calls masks, pictures made of them, and labels: images, but of no camera."""


class BagSource(Source):
    """The images of one topic of a bag. Stamps are the header stamps, or the log times where there are none.

    One zero is a stamp, as of a simulation that begins there; two in succession are none.
    odometry: topic of the poses that frames come with, "" for the only one there is; None: they come without.
    """

    def __init__(
        self, path: Path, topic: str | None = None, labels: str | None = None, odometry: str | None = None
    ) -> None:
        super().__init__(path)
        self.bag = Bag(path)
        self.kind = "rosbag1" if self.bag.is_ros1 else "rosbag2"
        chosen = _choose(self.bag, topic, labels)
        self.topic = chosen.name
        self.length = chosen.count
        self.rate = self.bag.rate(self.topic)
        self._odometry = odometry
        self._poses()  # what is not there is told now

    def _frames(self) -> Iterator[Frame]:
        index, poses = 0, self._poses()
        try:
            stamps = Stamps(self.bag, self.topic)
            for _, time_ns, message in self.bag.messages(self.topic):
                watch = Stopwatch()
                try:
                    rgb = to_rgb(message)
                except DcfmError as error:
                    self.skipped[str(error)] += 1
                else:
                    stamp = stamps.of(message, time_ns)
                    decode_ms, pose = watch.total(), poses.at(stamp) if poses else None
                    yield Frame(rgb, stamp, time_ns, message.header.frame_id, f"{index:06d}", decode_ms, pose)
                index += 1
        except DcfmError as error:
            if index == 0:
                raise
            stopped = f"reading stopped after {index} of {self.length} images: {error}"
            self.problem = "; ".join(text for text in (self.bag.problem, stopped) if text)
        else:
            told = (self.bag.problem, poses.problem if poses else "")
            self.problem = "; ".join(filter(None, told))

    def _poses(self) -> RecordedOdometry | None:
        return None if self._odometry is None else RecordedOdometry(self.bag, self._odometry)


def _choose(bag: Bag, name: str | None, labels: str | None) -> Topic:
    """The topic asked for, or the only image topic of a camera.

    Raises DcfmError: no such topic, not an image topic, no image topic at all, or several.
    """
    images = [topic for topic in bag.topics if topic.type in IMAGE_TYPES]
    if name is None:
        found = [topic for topic in images if topic.count and topic.name != labels]
        cameras = [topic for topic in found if not _NO_CAMERA.search(topic.name)]
        if len(cameras) == 1 or len(found) == 1:
            return (cameras or found)[0]
        if found:
            raise DcfmError(
                f"The bag {bag.path} has {len(found)} image topics; choose one with --topic:\n{_table(bag, found)}"
            )
        raise DcfmError(
            f"The bag {bag.path} has no image topic with messages. It has:\n{_table(bag, bag.topics)}"
        )
    chosen = image_topic(bag, name)
    if not chosen.count:
        raise DcfmError(f"The topic {name!r} of {bag.path} has no messages.")
    return chosen


def image_topic(bag: Bag, name: str, what: str = "topic") -> Topic:
    """The topic of this name.

    Raises DcfmError: no such topic, or not an image topic; `what` says what it is wanted for.
    """
    images = [topic for topic in bag.topics if topic.type in IMAGE_TYPES]
    chosen = [topic for topic in bag.topics if topic.name == name]
    if not chosen:
        raise DcfmError(
            f"The bag {bag.path} has no {what} {name!r}. Its image topics:\n{_table(bag, images or bag.topics)}"
        )
    if wrong := [topic for topic in chosen if topic not in images]:
        raise DcfmError(
            f"The {what} {name!r} of {bag.path} is {wrong[0].type}; expected {' or '.join(IMAGE_TYPES)}. "
            f"Its image topics:\n{_table(bag, images)}"
        )
    return chosen[0]


def _table(bag: Bag, topics: list[Topic]) -> str:
    def rate(topic: Topic) -> str:
        return number(bag.rate(topic.name) if topic.type in IMAGE_TYPES else None, ".2f")

    table = Table.of(topics, ("name", "type", "count", ("Hz", rate)))
    return indent(table.text() if topics else "(none)", "  ")


class RecordedOdometry:
    """The poses of a bag's topic, for frames that are asked for in their order.

    topic: "" for the only one there is.
    Raises DcfmError: no such topic, or a choice of them, which the message lists.
    """

    def __init__(self, bag: Bag, topic: str) -> None:
        self.topic = _odometry_topic(bag, topic)
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


def _odometry_topic(bag: Bag, topic: str) -> str:
    found = [each.name for each in bag.topics if each.type == ODOMETRY and each.count]
    if topic in found or (not topic and len(found) == 1):
        return topic or found[0]
    there = f"it has {', '.join(found)}; choose with --odometry" if found else "it has none at all"
    raise DcfmError(
        f"Triggers on odometry (odometry_distance_m, odometry_angle_deg) need {topic or 'one topic'} of {ODOMETRY} in the bag "
        f"{bag.path}: {there}."
    )
