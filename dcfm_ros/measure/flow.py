"""Optical flow, for the baseline that moves the last key frame's mask along with the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dcfm_ros.arrays import Image, Mask

Flow = NDArray[np.float32]


class OpticalFlow:
    """Dense flow from a frame back to the one before it, by OpenCV's DIS.

    A mask is brought along frame by frame: over many frames that is far closer to the truth than one flow
    from the current frame to the key frame, whose pixels have moved too far to be found, and it takes one
    flow per frame.
    """

    def __init__(self, size: tuple[int, int], preset: int = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) -> None:
        """size: (width, height) at which frames are compared. preset: of OpenCV, how thoroughly."""
        self.size = size
        self._dis = cv2.DISOpticalFlow.create(preset)

    def back(self, current: Image, before: Image) -> Flow:
        """Where each pixel of `current` was in `before` (uint8 H×W×3): float32 h×w×2, pixels of `size`."""
        flow = self._dis.calc(self._grey(current), self._grey(before), None)  # type: ignore[call-overload]
        return np.asarray(flow, np.float32)

    def _grey(self, rgb: Image) -> Image:
        small = cv2.resize(rgb, self.size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def warp(mask: Mask, flow: Flow) -> Mask:
    """The mask (uint8 H×W) of the frame before, moved to the current one along `flow` (float32 h×w×2,
    `OpticalFlow.back`).

    A pixel that came from outside the picture takes the nearest label at the border.
    """
    height, width = mask.shape
    h, w = flow.shape[:2]
    if (h, w) != (height, width):
        scale = np.array([width / w, height / h], np.float32)
        flow = np.asarray(cv2.resize(flow, (width, height)) * scale, np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        mask, x + flow[..., 0], y + flow[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)
