"""A CameraInfo for the mask: the camera's, scaled to the mask's size."""

from __future__ import annotations

from array import array
from typing import Any

from sensor_msgs.msg import CameraInfo


def scaled_camera_info(info: CameraInfo, header: Any, mask_size: tuple[int, int]) -> CameraInfo:
    """The intrinsics of a mask of `mask_size` = (width, height) made from the whole image that `info` describes.

    K, P and the region of interest are scaled, per axis; distortion and rectification have no unit and stay. Binning
    and a region of interest keep their meaning: the published image is (region of interest) / binning large.
    """
    roi = info.roi
    image_width = (roi.width or info.width) / max(info.binning_x, 1)
    image_height = (roi.height or info.height) / max(info.binning_y, 1)
    x = mask_size[0] / image_width if image_width else 1.0
    y = mask_size[1] / image_height if image_height else 1.0

    out = CameraInfo()
    out.header = header
    out.width, out.height = round(info.width * x), round(info.height * y)
    out.distortion_model, out.d, out.r = info.distortion_model, info.d, info.r
    out.k = _scaled_rows(info.k, (x, y, 1.0))
    out.p = _scaled_rows(info.p, (x, y, 1.0))
    out.binning_x, out.binning_y = info.binning_x, info.binning_y
    out.roi.x_offset, out.roi.width = round(roi.x_offset * x), round(roi.width * x)
    out.roi.y_offset, out.roi.height = round(roi.y_offset * y), round(roi.height * y)
    out.roi.do_rectify = roi.do_rectify
    return out


def _scaled_rows(matrix: Any, factors: tuple[float, float, float]) -> array:
    columns = len(matrix) // len(factors)
    return array("d", [value * factors[i // columns] for i, value in enumerate(matrix)])
