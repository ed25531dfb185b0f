"""Masks, depth and clouds out of ROS messages, and clouds and grids into them."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from nav_msgs.msg import OccupancyGrid
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

from dcfm_ros.arrays import Floats, Image, Mask
from dcfm_ros.errors import DcfmError, printable
from dcfm_ros.space.cloud import POINT
from dcfm_ros.space.ground import Grid

_MASK = {"mono8": "u1", "8UC1": "u1"}
_DEPTH = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_FIELDS = {"f4": PointField.FLOAT32, "u1": PointField.UINT8}


def mask_of(message: Any, what: str) -> Mask:
    """uint8 H×W of a mono8 Image. Raises DcfmError, naming `what`, for another message."""
    return _plane(message, _MASK, what)


def depth_of(message: Any) -> Floats:
    """float32 H×W, metres, of a depth image: 16UC1 in millimetres or 32FC1 in metres. Raises DcfmError for another message."""
    depth = _plane(message, _DEPTH, "depth")
    return (
        depth.astype(np.float32) * np.float32(0.001) if depth.dtype.kind == "u" else depth.astype(np.float32)
    )


def _plane(message: Any, kinds: dict[str, str], what: str) -> NDArray[Any]:
    if message.encoding not in kinds:
        raise DcfmError(
            f"{what} has the encoding '{printable(message.encoding)}'; expected {' or '.join(kinds)}"
        )
    dtype = np.dtype((">" if message.is_bigendian else "<") + kinds[message.encoding])
    height, width, step = message.height, message.width, message.step
    if not (height and width) or step < width * dtype.itemsize or len(message.data) != step * height:
        raise DcfmError(
            f"{what} of {width}×{height} has {len(message.data)} bytes with step {step}: it is damaged"
        )
    return np.ndarray(
        (height, width), dtype, np.frombuffer(message.data, np.uint8).data, strides=(step, dtype.itemsize)
    )


def points_of_cloud(message: Any) -> tuple[Floats, Image | None]:
    """float32 H×W×3, metres, and uint8 H×W×3 RGB where it has colours, of an organised cloud.

    Raises DcfmError for a cloud that is not organised, or has no x, y and z of float32.
    """
    height, width = message.height, message.width
    if not width:
        raise DcfmError("the cloud is empty; expected a point for each pixel of the mask")
    if height < 2:
        raise DcfmError(
            "the cloud is not organised: it has one row; expected a point for each pixel of the mask"
        )
    sizes = {PointField.FLOAT32: 4, PointField.UINT32: 4}
    offsets = {field.name: field.offset for field in message.fields if sizes.get(field.datatype)}
    if not {"x", "y", "z"} <= set(offsets) or message.is_bigendian:
        raise DcfmError("the cloud has no little-endian float32 x, y and z")
    least = max(offsets.values()) + 4
    if message.point_step < least or message.row_step < width * message.point_step:
        raise DcfmError("the cloud is damaged: its points are larger than their steps")
    if len(message.data) != message.row_step * height:
        raise DcfmError(f"the cloud has {len(message.data)} bytes; expected {message.row_step} × {height}")
    data, strides = np.frombuffer(message.data, np.uint8).data, (message.row_step, message.point_step)
    points = np.stack(
        [np.ndarray((height, width), "<f4", data, offsets[axis], strides) for axis in ("x", "y", "z")], -1
    )
    if "rgb" not in offsets:
        return points, None
    colours = np.ndarray((height, width, 3), "u1", data, offsets["rgb"], (*strides, 1))
    return points, colours[..., ::-1]


def cloud_message(header: Any, points: NDArray[np.void]) -> PointCloud2:
    """A PointCloud2 of a POINT array."""
    message = PointCloud2(header=header, height=1, width=len(points), is_dense=True)
    message.point_step, message.row_step = POINT.itemsize, POINT.itemsize * len(points)
    for name in POINT.names or ():
        dtype, offset = POINT.fields[name][:2]
        # rgb is declared as a float: so do PCL and all who read it.
        message.fields.append(
            PointField(
                name=name, offset=offset, datatype=_FIELDS.get(dtype.str[1:], PointField.FLOAT32), count=1
            )
        )
    message.data = array("B", points.tobytes())
    return message


def grid_message(stamp: Any, frame_id: str, grid: Grid, values: NDArray[np.int8]) -> OccupancyGrid:
    """An OccupancyGrid around the origin of `frame_id`."""
    message = OccupancyGrid()
    message.header.stamp, message.header.frame_id = stamp, frame_id
    message.info.map_load_time = stamp
    message.info.resolution = grid.resolution
    message.info.width = message.info.height = grid.cells
    message.info.origin.position.x = message.info.origin.position.y = grid.corner
    message.info.origin.orientation.w = 1.0
    message.data = array("b", values.tobytes())
    return message
