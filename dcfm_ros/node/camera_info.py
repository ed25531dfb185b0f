"""A CameraInfo for the mask: that of the camera which took the image, scaled to the mask's size."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import Any

from sensor_msgs.msg import CameraInfo

from dcfm_ros.config import Size
from dcfm_ros.stamps import to_ns

KEPT = 16  # messages, and names of frames
_MAX_UINT32 = 2**32 - 1


class CameraInfos:
    """The latest CameraInfo messages of a topic. `add` is for one thread, `of` for another."""

    def __init__(self) -> None:
        self._latest: OrderedDict[tuple[str, int], CameraInfo] = OrderedDict()
        self._images: set[str] = set()  # frame_ids

    def add(self, info: CameraInfo) -> None:
        """A message came."""
        latest = self._latest.copy()
        latest[info.header.frame_id, to_ns(info.header.stamp)] = info
        latest.move_to_end((info.header.frame_id, to_ns(info.header.stamp)))
        if len(latest) > KEPT:
            latest.popitem(last=False)
        self._latest = latest

    def of(self, header: Any, size: Size) -> CameraInfo | None:
        """The calibration of the image with this header and size = (width, height): of the same stamp, else the newest.

        A frame_id must be the image's own, unless the topic has only ever had one camera, which may call itself
        something else there. None where there is no such message, or it is of another image size.
        """
        if len(self._images) < KEPT:
            self._images.add(header.frame_id)
        latest = self._latest
        names = {name for name, _ in latest}
        alone = len(names) == len(self._images) == 1
        infos = [info for (name, _), info in latest.items() if alone or name == header.frame_id]
        stamp_ns = to_ns(header.stamp)
        exact = [info for info in infos if to_ns(info.header.stamp) == stamp_ns]
        fitting = [info for info in exact or infos if image_size(info) in (size, (0, 0))]
        return fitting[-1] if fitting else None


def image_size(info: CameraInfo) -> Size:
    """(width, height) of the images that it describes: the region of interest, binned."""
    width, height = info.roi.width or info.width, info.roi.height or info.height
    return width // max(info.binning_x, 1), height // max(info.binning_y, 1)


def scaled_camera_info(info: CameraInfo, header: Any, mask_size: Size) -> CameraInfo:
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
    out.width, out.height = _scaled(info.width, x), _scaled(info.height, y)
    out.distortion_model, out.d, out.r = info.distortion_model, info.d, info.r
    out.k = _scaled_rows(info.k, (x, y, 1.0))
    out.p = _scaled_rows(info.p, (x, y, 1.0))
    out.binning_x, out.binning_y = info.binning_x, info.binning_y
    out.roi.x_offset, out.roi.width = _scaled(roi.x_offset, x), _scaled(roi.width, x)
    out.roi.y_offset, out.roi.height = _scaled(roi.y_offset, y), _scaled(roi.height, y)
    out.roi.do_rectify = roi.do_rectify
    return out


def _scaled(pixels: int, factor: float) -> int:
    return min(round(pixels * factor), _MAX_UINT32)


def _scaled_rows(matrix: Any, factors: tuple[float, float, float]) -> array:
    columns = len(matrix) // len(factors)
    return array("d", [float(value) * factors[i // columns] for i, value in enumerate(matrix)])
