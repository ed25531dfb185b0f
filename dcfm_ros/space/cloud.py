"""Labelled points from a mask and a depth for each of its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.arrays import Floats, Image, Mask
from dcfm_ros.space.camera import Camera

POINT = np.dtype(
    {
        "names": ["x", "y", "z", "rgb", "confidence", "label"],
        "formats": ["<f4", "<f4", "<f4", "<u4", "<f4", "u1"],
        "offsets": [0, 4, 8, 12, 16, 20],
        "itemsize": 24,
    }
)
"""A point of `segmentation/points`. rgb: 0x00RRGGBB, as PCL packs it."""
_BITS = 18  # of a voxel's number along an axis: 2.6 km of the smallest voxels


def points_of_depth(depth: Floats, camera: Camera) -> Floats:
    """float32 H×W×3, metres in the camera's frame, of a depth image (float32 H×W, metres along z); NaN without depth."""
    depth = np.where(depth > 0, depth, np.float32(np.nan))
    points = np.empty((*depth.shape, 3), np.float32)
    np.multiply(camera.rays, depth[..., None], out=points[..., :2])
    points[..., 2] = depth
    return points


def labelled_points(
    points: Floats,
    mask: Mask,
    confidence: Mask,
    rgb: Image,
    wanted: NDArray[np.bool_],
    reach: tuple[float, float],
    voxel: float,
) -> NDArray[np.void]:
    """The points (float32 H×W×3, metres) of the wanted classes, within reach, one in a voxel: the surest; a POINT array.

    wanted: of every class id, bool 256. reach: least and largest distance from the camera, metres. voxel: edge
    in metres, 0 for all points.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        square = np.einsum("hwc,hwc->hw", points, points)
        # Written so that NaN is never within reach; some drivers have zeros there.
        kept = np.flatnonzero((square >= max(reach[0], 1e-6) ** 2) & (square <= reach[1] ** 2) & wanted[mask])
    xyz, sure = points.reshape(-1, 3).take(kept, 0), confidence.take(kept)
    if voxel > 0:
        first = _surest(xyz, sure, voxel)
        kept, xyz, sure = kept[first], xyz.take(first, 0), sure[first]
    out = np.zeros(len(kept), POINT)
    out["x"], out["y"], out["z"] = xyz.T
    # Bytes in the order blue, green, red are 0x00RRGGBB.
    out.view(np.uint8).reshape(-1, POINT.itemsize)[:, 12:15] = rgb.reshape(-1, 3).take(kept, 0)[:, ::-1]
    out["label"], out["confidence"] = mask.take(kept), sure / np.float32(255)
    return out


def _surest(xyz: Floats, sure: Mask, voxel: float) -> NDArray[np.intp]:
    """Which point of each voxel is the surest, in the order of the voxels."""
    cell = np.floor(xyz / np.float32(voxel)).astype(np.int64) & (1 << _BITS) - 1
    voxels = (cell[:, 0] << 2 * _BITS) | (cell[:, 1] << _BITS) | cell[:, 2]
    order = np.argsort((voxels << 8) | (255 - sure.astype(np.int64)))
    first = np.empty(len(order), bool)
    first[:1] = True
    np.not_equal(voxels[order[1:]], voxels[order[:-1]], out=first[1:])
    return order[first]
