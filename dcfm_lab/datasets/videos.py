"""Videos as files, some of their frames labelled: what most datasets are once their folders have been read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcfm_lab.datasets.base import LabelledFrame, read_image, read_label, same_size
from dcfm_ros.arrays import UNLABELLED, Image
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import ClassSet


@dataclass(frozen=True)
class Video:
    """The files of a video by the number of the frame: those that can be neighbours, and the labels there are.

    A labelled frame's own image is among `frames`.
    """

    name: str
    frames: Mapping[int, Path]
    labels: Mapping[int, Path]


class VideoFiles:
    """A dataset of `Video`s, in order. `table`: uint8 (256,), class id per value in the label images.

    void: the only values that mean no class; None: all others do. A label with another value is a DcfmError.

    A subclass reads its layout; where label images are not one byte per pixel, it overrides `read_label`, and `read_image` likewise.
    """

    fps = 30.0

    def __init__(
        self, videos: Sequence[Video], classes: ClassSet, table: Image, void: Sequence[int] | None = None
    ) -> None:
        self.classes, self.table = classes, table
        self._void = void
        self._wrong = (table == UNLABELLED) & ~np.isin(
            np.arange(256), np.arange(256) if void is None else void
        )
        self.places = [(video, number) for video in videos for number in sorted(video.labels)]
        if not self.places:
            raise DcfmError("the dataset has no labelled frame")

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> LabelledFrame:
        video, number = self.places[index]
        label = self._known(self.read_label(video.labels[number]), video.labels[number])
        image = self.read_image(video.frames[number])
        return same_size(LabelledFrame(image, label, f"{video.name}/{self.name(index)}"))

    def _known(self, values: Image, path: Path) -> Image:
        """The class ids of a label's values."""
        wrong = values[self._wrong[values]]
        if wrong.size:
            classes = [value for value in range(256) if self.table[value] != UNLABELLED]
            raise DcfmError(
                f"'{path}' holds the value {wrong.max()}, which is no class; expected {classes[0]} to {classes[-1]}, or "
                f"{' or '.join(map(str, self._void or ()))} for none"
            )
        return self.table[values]

    def offsets(self, index: int) -> list[int]:
        video, number = self.places[index]
        return sorted(other - number for other in video.frames if other != number)

    def neighbour(self, index: int, offset: int) -> Image | None:
        video, number = self.places[index]
        path = video.frames.get(number + offset)
        return self.read_image(path) if path else None

    def sequence(self, index: int) -> str:
        """Name of the video that frame `index` is from."""
        return self.places[index][0].name

    def name(self, index: int) -> str:
        video, number = self.places[index]
        return video.frames[number].stem

    def read_image(self, path: Path) -> Image:
        return read_image(path)

    def read_label(self, path: Path) -> Image:
        return read_label(path)
