"""What every stream of frames has in common: the frame, the source, and the order of files.

Every source holds one frame at a time, so a 100 GB recording needs no more memory than a small one.
"""

from __future__ import annotations

import abc
import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcfm_ros.stream.segmentation import Pose

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})

# To ROS a stamp of zero means "unset"; recordings without stamps of their own therefore begin at one second.
FIRST_STAMP_NS = 1_000_000_000


@dataclass(frozen=True)
class Frame:
    """One image of a stream."""

    rgb: np.ndarray  # uint8 H×W×3, perhaps in the memory of its message: copy it before writing to it
    stamp_ns: int  # when it was taken (the message's header stamp)
    time_ns: int  # when it was recorded (a bag's log time); else `stamp_ns`
    frame_id: str  # the header's, "" where there is none
    name: str  # for people: a file's name or a running number
    decode_ms: float = 0.0  # how long a message took to become a picture; 0 where there is no message
    odometry: Pose | None = None  # None where that is not known, or nobody asks

    def repeats(self, other: Frame) -> bool:
        """Whether it is the other one, sent again: equal stamps alone may be a stereo camera's, or stand still."""
        same = (self.stamp_ns, self.frame_id) == (other.stamp_ns, other.frame_id)
        return same and np.array_equal(self.rgb, other.rgb)


class Source(contextlib.AbstractContextManager["Source"]):
    """A stream of frames. Iterating starts from the beginning each time (a camera: from now)."""

    kind: str  # "video", "images", "rosbag2", "rosbag1" or "camera"
    topic = ""  # the image topic of a bag

    def __init__(self, path: Path) -> None:
        self.path = path  # as given
        self.length: int | None = None  # frames expected; None where nobody knows before the end
        self.rate: float | None = None  # frames per second as recorded; None where unknown
        self.skipped: Counter[str] = Counter()  # that could not be read in this iteration: reason -> count
        self.problem = ""  # why reading ended before the end of the recording

    def __iter__(self) -> Iterator[Frame]:
        self.skipped.clear()
        self.problem = ""
        yield from self._frames()

    @abc.abstractmethod
    def _frames(self) -> Iterator[Frame]:
        """Yield the frames in recorded order; count those that cannot be read in `skipped`."""

    def close(self) -> None:
        """Release files and devices; the source cannot be iterated afterwards."""

    def __exit__(self, *_: object) -> None:
        self.close()


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder in natural order; what is hidden is a file manager's, as `._0001.png`."""
    found = (
        file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != "."
    )
    return sorted(found, key=natural_key)


def natural_key(path: Path) -> list[tuple[int, int | str]]:
    """Sort key that puts `frame10` behind `frame9`."""
    return [
        (0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", path.stem) if part
    ]
