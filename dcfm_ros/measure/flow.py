"""Optical flow: masks moved along with the picture, and how steady labels are along it, which needs no ground truth."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from dcfm_ros.arrays import Mask

Flow = NDArray[np.float32]


def warp(mask: Mask, flow: Flow) -> Mask:
    """The mask (uint8 H×W) of the frame before, moved to the current one along `flow` (float32 h×w×2: from
    each pixel to where it was, in pixels of its own size).

    A pixel that came from outside the picture takes the nearest label at the border.
    """
    height, width = mask.shape
    h, w = flow.shape[:2]
    if (h, w) != (height, width):
        scale = np.array([width / w, height / h], np.float32)
        flow = np.asarray(cv2.resize(flow, (width, height)) * scale, np.float32)
    x, y = _followed(flow)
    return np.asarray(cv2.remap(mask, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _followed(flow: Flow) -> tuple[Flow, Flow]:
    """Where each pixel's flow leads: x and y, float32 h×w each."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x + flow[..., 0], y + flow[..., 1]


class FlowConsistency:
    """Share of pixels that keep their label along the optical flow from one frame to the next.

    Labels that flicker lower it, without any ground truth; so do labels that stay behind when things move. Flow (DIS)
    is estimated on grey images of at most 320 pixels width; pixels that the flow does not explain (occlusions, the
    image's border) are left out.
    """

    _WIDTH = 320
    _EXPLAINED = 20  # grey levels

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grey: np.ndarray | None = None
        self._mask: np.ndarray | None = None

    def step(self, rgb: np.ndarray, mask: np.ndarray) -> float:
        """Consistency of this mask with the one before, 0-1; NaN for the first frame and after a change of size.

        rgb: uint8 H×W×3. mask: uint8 h×w class ids of the same picture, any size.
        """
        width = min(self._WIDTH, rgb.shape[1])
        # DIS takes no smaller ones.
        size = (max(16, width), max(16, round(rgb.shape[0] * width / rgb.shape[1])))
        grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        small = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        before, mask_before = self._grey, self._mask
        self._grey, self._mask = grey, small
        if before is None or mask_before is None or before.shape != grey.shape:
            return math.nan
        # Flow from this frame back to the one before, so that every pixel of this frame gets one answer.
        flow = np.asarray(self._flow.calc(grey, before, np.zeros((*grey.shape, 2), np.float32)), np.float32)
        x, y = _followed(flow)
        warped = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        expected = warp(mask_before, flow)
        inside = (x >= 0) & (y >= 0) & (x <= size[0] - 1) & (y <= size[1] - 1)
        valid = inside & (cv2.absdiff(warped, grey) < self._EXPLAINED)
        return float(np.mean(expected[valid] == small[valid])) if valid.any() else math.nan
