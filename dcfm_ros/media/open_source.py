"""`open_source(path)` finds out what a path is and reads it frame by frame."""

from __future__ import annotations

import re
from pathlib import Path

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_files import is_bag
from dcfm_ros.media.bag_source import BagSource
from dcfm_ros.media.files import CameraSource, ImageFolder, VideoSource
from dcfm_ros.media.source import Source

DEFAULT_FOLDER_RATE = 15.0


def open_source(
    path: str | Path,
    topic: str | None = None,
    *,
    rate: float | None = None,
    labels: str | None = None,
    odometry: str | None = None,
) -> Source:
    """Open a video file, folder of images, rosbag2 (folder, .mcap or .db3), ROS 1 .bag or camera (/dev/videoN).

    topic: the image topic of a bag; None finds it where the bag has exactly one.
    labels: a topic that holds no camera images but their labels.
    odometry: topic of the poses that a bag's frames come with, "" for the only one there is; None: without.
    rate: frames per second, for a folder of images (default 15) or to ask of a camera.
    Raises DcfmError: nothing there, not readable, no images in it, or a choice of topics (which the message
    lists).
    """
    path = Path(path)
    source = _open(path, topic, rate, labels, odometry)
    triggers = "the triggers on it (odometry_distance_m, odometry_angle_deg)"
    asked = {"topics": f"the topic {topic!r}"} if topic else {}
    asked |= {"odometry": triggers} if odometry is not None else {}
    for what, remedy in asked.items() if not source.topic else ():
        source.close()
        raise DcfmError(f"{path} is {_KIND_WORDS[source.kind]} and has no {what}; leave out {remedy}.")
    return source


_KIND_WORDS = {"video": "a video", "images": "a folder of images", "camera": "a camera"}


def _open(
    path: Path, topic: str | None, rate: float | None, labels: str | None, odometry: str | None
) -> Source:
    if re.fullmatch(r"/dev/video\d+", str(path)):
        return CameraSource(path, rate)
    if not path.exists():
        raise DcfmError(
            f"{path} does not exist; give a video, a folder of images, a bag or a camera like /dev/video0."
        )
    if is_bag(path):
        return BagSource(path, topic, labels, odometry)
    if path.is_dir():
        return ImageFolder(path, rate or DEFAULT_FOLDER_RATE)
    return VideoSource(path)
