"""What a calibrated camera sees where: pixels to rays and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcfm_ros.arrays import Floats
from dcfm_ros.config import Size
from dcfm_ros.errors import DcfmError

PLUMB_BOB, FISHEYE = ("", "plumb_bob", "rational_polynomial"), "equidistant"
_LENS_NUMBERS = 4, 5, 8, 12, 14  # that OpenCV knows; ROS writes 5 or 8
_NEAR = 1e-3  # metres in front of the camera where projecting begins
_TWICE = 2.0  # pixels; a point that comes back further off than this was folded into the picture by the lens's polynomial


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera of `size` = (width, height); k: 3×3; distortion: OpenCV's coefficients. Pixel centres are whole numbers."""

    k: NDArray[np.float64]
    size: Size
    distortion: NDArray[np.float64]
    fisheye: bool = False

    @cached_property
    def rays(self) -> Floats:
        """float32 H×W×2: x/z and y/z of what each pixel sees (z forward, x right, y down)."""
        width, height = self.size
        pixels = np.stack(np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float)), -1)
        flat: NDArray[Any]
        if not self.distortion.any():
            with np.errstate(over="ignore"):
                flat = (pixels - self.k[:2, 2]) / self.k[[0, 1], [0, 1]]
        else:
            undistort = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
            flat = undistort(pixels.reshape(-1, 1, 2), self.k, self.distortion)
        with np.errstate(over="ignore"):
            return np.asarray(flat, np.float32).reshape(height, width, 2)

    def pixels(self, points: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Row and column (N×2) of points in the camera's frame, float N×3 metres, and which are in the picture (N)."""
        ahead = points[:, 2] > _NEAR
        flat = points[:, :2] / np.where(ahead, points[:, 2], 1.0)[:, None]
        distorted: NDArray[Any] = flat
        if self.distortion.any():
            project = cv2.fisheye.projectPoints if self.fisheye else cv2.projectPoints
            homogeneous = np.column_stack([flat, np.ones(len(flat))])[:, None]
            distorted = project(homogeneous, np.zeros(3), np.zeros(3), np.eye(3), self.distortion)[0].reshape(
                -1, 2
            )
        with np.errstate(invalid="ignore", over="ignore"):
            place = np.rint(distorted * self.k[[0, 1], [0, 1]] + self.k[:2, 2])
            seen = ahead & (place >= 0).all(1) & (place < self.size).all(1)
        where = np.where(seen[:, None], place, 0).astype(np.intp)[:, ::-1]
        if self.distortion.any():
            off = np.abs(self.rays[where[:, 0], where[:, 1]] - flat) * self.k[[0, 1], [0, 1]]
            seen &= (off < _TWICE).all(1)
        return where, seen


def camera_of(k: ArrayLike, size: Size, distortion: ArrayLike = (), model: str = "") -> Camera:
    """The camera of a `sensor_msgs/CameraInfo`'s numbers.

    k: 3×3 or its nine numbers, row by row. size: (width, height) of the pictures. model: of the distortion.
    Raises DcfmError: numbers that no camera has: zeros, NaN, a centre outside of the picture, an unknown lens
    or one of another number of coefficients.
    """
    matrix = np.asarray(k, float).reshape(3, 3)
    lens = np.asarray(distortion, float).reshape(-1)
    if not (np.isfinite(matrix).all() and np.isfinite(lens).all()):
        raise DcfmError("the calibration has numbers that are not finite; calibrate the camera")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise DcfmError(
            f"the camera is not calibrated: its focal lengths are {matrix[0, 0]:g} and {matrix[1, 1]:g} pixels, expected "
            "more than 0"
        )
    if not (0 < matrix[0, 2] < size[0] and 0 < matrix[1, 2] < size[1]):
        raise DcfmError(
            f"the calibration's centre ({matrix[0, 2]:g}, {matrix[1, 2]:g}) lies outside the picture of "
            f"{size[0]}×{size[1]}; is it of another size?"
        )
    if model not in (*PLUMB_BOB, FISHEYE) and lens.any():
        raise DcfmError(f"the lens model '{model}' is unknown; rectify the images, and set rectified")
    numbers = (4,) if model == FISHEYE else _LENS_NUMBERS
    if lens.any() and lens.size not in numbers:
        raise DcfmError(
            f"the calibration's lens has {lens.size} coefficients; expected {' or '.join(map(str, numbers))}"
        )
    return Camera(matrix, size, lens, model == FISHEYE)
