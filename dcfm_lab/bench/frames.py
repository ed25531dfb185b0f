"""The frames that are segmented: consecutive ones of the synthetic street drive, which every machine can render."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from dcfm_ros.arrays import Image
from dcfm_ros.config import Size

FIRST = 30
COUNT = 6


@functools.lru_cache(maxsize=4)
def street(size: Size, count: int = COUNT) -> tuple[Image, ...]:
    """`count` frames of 15 Hz, uint8 H×W×3, at size = (width, height)."""
    from dcfm_ros.street import SyntheticDrive

    drive = SyntheticDrive(0, size)
    return tuple(drive[FIRST + i].image for i in range(count))


class Calibration(Sequence[Image]):
    """Frames for int8's calibration, of another drive than the measured ones; rendered when they are looked at."""

    def __init__(self, size: Size, count: int = 16) -> None:
        self._size, self._count = size, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return _calibration(self._size, self._count)[index]


@functools.lru_cache(maxsize=1)
def _calibration(size: Size, count: int) -> tuple[Image, ...]:
    from dcfm_ros.street import SyntheticDrive

    drive = SyntheticDrive(1, size)
    return tuple(drive[5 * i].image for i in range(count))
