"""What every dataset of sparsely labelled video offers to training and evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dcfm_ros.arrays import UNLABELLED, Image
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.image_file import decode_file
from dcfm_ros.media.image_header import BadImage
from dcfm_ros.media.label_image import Colours, class_ids
from dcfm_ros.media.source import image_files
from dcfm_ros.model.classes import ClassSet


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """image: uint8 H×W×3 RGB. label: uint8 H×W of class ids, 255 = none. name: where the frame is from, for messages."""

    image: Image
    label: Image
    name: str


class FrameDataset(Protocol):
    """Labelled frames, each somewhere in a video whose other frames may be read as its neighbours."""

    classes: ClassSet
    fps: float
    """Frames per second that offsets count in."""

    def __len__(self) -> int:
        """How many labelled frames there are."""

    def __getitem__(self, index: int) -> LabelledFrame:
        """Labelled frame `index`; DcfmError naming the file where it cannot be read."""

    def offsets(self, index: int) -> Sequence[int]:
        """Where `index` has neighbours: offsets in frames of its video, never 0, in ascending order."""

    def neighbour(self, index: int, offset: int) -> Image | None:
        """The image `offset` frames after labelled frame `index` (before it, if negative); None where there is none."""

    def name(self, index: int) -> str:
        """Name of frame `index`'s file without folder and suffix; other files about it, such as soft labels, share it."""

    def sequence(self, index: int) -> str:
        """Name of the video that frame `index` is from. Frames of a video follow each other, in order."""


def evenly_spread(length: int, count: int) -> list[int]:
    """At most `count` of the indices of a data set of this length, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, length - 1, min(count, length)).tolist()})


def existing_folder(path: str | Path, layout: str) -> Path:
    """`path` as a folder that exists; else DcfmError, saying which `layout` was expected."""
    path = Path(path)
    if not path.is_dir():
        raise DcfmError(f"folder '{path}' does not exist; expected {layout}")
    return path


def existing_file(path: str | Path, layout: str) -> Path:
    """`path` as a file that exists; else DcfmError, saying which `layout` was expected."""
    path = Path(path)
    if not path.is_file():
        raise DcfmError(f"'{path}' is missing; expected {layout}")
    return path


def images_in(folder: Path) -> dict[int, Path]:
    """The images in a folder (none where there is no such folder) by the number at the end of their names."""
    if not folder.is_dir():
        return {}
    return dict(sorted((frame_number(path), path) for path in image_files(folder)))


def frame_number(path: Path) -> int:
    """The number at the end of a file's name: 0016E5_07959.jpg -> 7959; DcfmError where there is none."""
    digits = re.search(r"(\d+)$", path.stem)
    if not digits:
        raise DcfmError(
            f"the name of '{path}' does not end in a frame number, as that of 0016E5_07959.jpg does"
        )
    return int(digits[1])


def read_image(path: Path) -> Image:
    """An image file as uint8 H×W×3 RGB; DcfmError where it is missing or damaged."""
    return np.ascontiguousarray(read_pixels(path, cv2.IMREAD_COLOR, "an image")[..., ::-1])


def read_label(path: Path, colours: Colours = ()) -> Image:
    """A label image as uint8 H×W, one value per pixel as it is, or the classes' colours as ids; DcfmError naming the file."""
    if not path.is_file():
        raise DcfmError(f"'{path}' is missing; expected a label image there")
    return class_ids(path.read_bytes(), f"'{path}'", colours)


def same_size(frame: LabelledFrame) -> LabelledFrame:
    """`frame` itself; DcfmError where its label has another size than its image."""
    if frame.image.shape[:2] != frame.label.shape:
        raise DcfmError(
            f"the image of '{frame.name}' is {_size(frame.image)}, its label {_size(frame.label)}; they must have the same size"
        )
    return frame


def lookup_table(classes: dict[int, int]) -> Image:
    """uint8 (256,): the class id of each value a label image may hold; 255 where `classes` says nothing."""
    table = np.full(256, UNLABELLED, np.uint8)
    for value, class_id in classes.items():
        table[value] = class_id
    return table


def read_pixels(path: Path, flags: int, what: str) -> NDArray[Any]:
    """An image file as OpenCV gives it for these flags; DcfmError where it is missing or damaged. what: it should be."""
    if not path.is_file():
        raise DcfmError(f"'{path}' is missing; expected {what} there")
    try:
        return decode_file(path.read_bytes(), flags, "it")
    except (OSError, BadImage) as error:
        raise DcfmError(f"'{path}' cannot be read as {what}: {error}") from error


def _size(array: Image) -> str:
    return f"{array.shape[1]}×{array.shape[0]}"
