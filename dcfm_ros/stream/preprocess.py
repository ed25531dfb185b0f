"""From the camera's image to the network's."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from dcfm_ros.arrays import Image
from dcfm_ros.config import Size
from dcfm_ros.errors import DcfmError


def check_frame(rgb: Any) -> Size:
    """(width, height) of a frame. Raises DcfmError unless it is a NumPy array, uint8 H×W×3."""
    if not isinstance(rgb, np.ndarray):
        raise DcfmError(f"a frame is a {type(rgb).__name__}; expected a NumPy array, uint8 H×W×3, RGB")
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        shape = "×".join(str(n) for n in rgb.shape) or "a scalar"
        raise DcfmError(f"a frame is {rgb.dtype} {shape}; expected uint8 H×W×3, RGB, values 0-255")
    return rgb.shape[1], rgb.shape[0]


def preprocess(rgb: Image, size: Size) -> Image:
    """uint8 H×W×3 at `size` = (width, height); `rgb` itself where it has that size. Any strides."""
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    if rgb.strides[1:] != (3, 1) or rgb.strides[0] < 0:
        rgb = np.ascontiguousarray(rgb)  # OpenCV reads padded rows in place, but no other gaps
    shrinks = size[0] < rgb.shape[1] or size[1] < rgb.shape[0]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)  # type: ignore[return-value]
