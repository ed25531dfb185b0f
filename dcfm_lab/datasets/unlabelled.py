"""A recording without labels, for distillation: a teacher says what its frames show, and their neighbours are real."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dcfm_lab.datasets.base import LabelledFrame
from dcfm_lab.datasets.recordings import STORE, recorded
from dcfm_lab.datasets.videos import Video, VideoFiles
from dcfm_ros.arrays import UNLABELLED, Image
from dcfm_ros.config import Size
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import CLASS_SETS

LAYOUT = "a video, a folder of images or a rosbag"


class Unlabelled(VideoFiles):
    """Every `every`-th frame of a recording, none of its pixels labelled; all of its frames are neighbours.

    Offsets count the recording's frames, and a frame's name is its place there, from 0: 000004. `classes`: the name of
    the class set that is taught. `size`: (width, height) to which frames are brought, or None. Images come from a bag's
    `topic`, or its only one. A video or bag is copied to `cache` (default: a folder of the package's cache) once, as
    images.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        every: int = 1,
        classes: str = "camvid",
        size: Size | None = None,
        topic: str = "",
        cache: str = "",
    ) -> None:
        if not Path(root).exists():
            raise DcfmError(f"'{root}' does not exist; expected {LAYOUT}")
        if classes not in CLASS_SETS:
            raise DcfmError(f"unknown classes '{classes}'; known: {', '.join(CLASS_SETS)}")
        if every < 1:
            raise DcfmError(f"'every' is {every}; it must be 1 or more")
        store = Path(cache).expanduser().absolute() if cache else STORE
        recording = recorded(Path(root), None, topic, 0, store)
        frames, self.fps = recording.frames, recording.rate
        self.size = tuple(size) if size else None
        # A place among the labels makes a frame one of the data set; there is no file behind it.
        chosen = {number: path for number, path in frames.items() if number % every == 0}
        super().__init__(
            [Video(Path(root).stem, frames, chosen)], CLASS_SETS[classes], np.zeros(256, np.uint8)
        )

    def __getitem__(self, index: int) -> LabelledFrame:
        image = self.read_image(self.places[index][0].frames[self.places[index][1]])
        return LabelledFrame(image, np.full(image.shape[:2], UNLABELLED, np.uint8), self.name(index))

    def name(self, index: int) -> str:
        return f"{self.places[index][1]:06d}"

    def read_image(self, path: Path) -> Image:
        image = super().read_image(path)
        if self.size:
            image = np.asarray(cv2.resize(image, self.size, interpolation=cv2.INTER_AREA), np.uint8)
        return image
