"""The frames that are segmented: consecutive ones of the synthetic street drive, which every machine can render."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

FIRST = 30
COUNT = 6


@functools.lru_cache(maxsize=4)
def street(size: tuple[int, int], count: int = COUNT) -> tuple[Image, ...]:
    """`count` frames of 15 Hz, uint8 H×W×3, at size = (width, height)."""
    from dcfm_ros.learn.datasets.drive import SyntheticDrive

    drive = SyntheticDrive(0, size)
    return tuple(drive[FIRST + i].image for i in range(count))


@functools.lru_cache(maxsize=4)
def street_labels(size: tuple[int, int]) -> NDArray[np.uint8]:
    """The true labels of the first of them, uint8 H×W, 0-10 and 255."""
    from dcfm_ros.learn.datasets.drive import SyntheticDrive

    return SyntheticDrive(0, size)[FIRST].label
