"""Moves a feature along a displacement field: bilinear sampling with the border repeated, the same on every engine."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_ros.arrays import Floats
from dcfm_ros.config import Size
from dcfm_ros.engines.jit import kernel


def warp_array(feature: Floats, displacement: Floats) -> Floats:
    """A feature whose pixel (y, x) is what `feature` has at (y, x) + displacement.

    feature: float32 h×w×C, contiguous: a pixel is one contiguous read. displacement: float32 h×w×2, x and y in the
    feature's pixels, finite. Returns float32 h×w×C. Equals `warp_tensor` up to float rounding.
    """
    moved = np.empty_like(feature)
    _sample(feature, np.ascontiguousarray(displacement), moved)
    return moved


def warp_tensor(feature: Tensor, displacement: Tensor) -> Tensor:
    """The same for a tensor of any float type: feature N×C×h×w, displacement float32 h×w×2 or N×h×w×2 on its device."""
    height, width = feature.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=feature.device), torch.arange(width, device=feature.device), indexing="ij"
    )
    # grid_sample's places run from -1 to 1 between the outer edges of the border pixels.
    size = torch.tensor([width, height], device=feature.device)
    places = (2 * (torch.stack((x, y), -1) + displacement) + 1) / size - 1
    moved = F.grid_sample(
        feature.float(),
        places.view(-1, height, width, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return moved.to(feature.dtype, memory_format=torch.channels_last)


def displacement_on_grid(displacement: Floats, size: Size) -> Floats:
    """A displacement in shares of the picture's sides as one in a feature's pixels, float32 h×w×2.

    displacement: float32 on any grid. size: (width, height) of the feature.
    """
    if displacement.shape[1::-1] != size:
        displacement = np.asarray(cv2.resize(displacement, size, interpolation=cv2.INTER_LINEAR))
    return displacement * np.array(size, np.float32)


@kernel
def _sample(source: Floats, displacement: Floats, out: Floats) -> None:
    height, width, channels = source.shape
    for y in range(height):
        for x in range(width):
            place_x = np.float32(x) + displacement[y, x, 0]
            place_y = np.float32(y) + displacement[y, x, 1]
            place_x = min(max(place_x, np.float32(0.0)), np.float32(width - 1))
            place_y = min(max(place_y, np.float32(0.0)), np.float32(height - 1))
            left, top = int(place_x), int(place_y)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            a, b = place_x - np.float32(left), place_y - np.float32(top)
            c, d = np.float32(1.0) - a, np.float32(1.0) - b
            top_left, top_right = source[top, left], source[top, right]
            bottom_left, bottom_right = source[bottom, left], source[bottom, right]
            here = out[y, x]
            for k in range(channels):
                upper = c * top_left[k] + a * top_right[k]
                lower = c * bottom_left[k] + a * bottom_right[k]
                here[k] = d * upper + b * lower
