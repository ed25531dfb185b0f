"""How steady labels are along the optical flow, which needs no ground truth."""

from __future__ import annotations

import math

import cv2
import numpy as np


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

        Args:
            rgb: uint8 H×W×3.
            mask: uint8 h×w class ids of the same picture, any size.
        """
        width = min(self._WIDTH, rgb.shape[1])
        size = (width, max(16, round(rgb.shape[0] * width / rgb.shape[1])))
        grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        small = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        before, mask_before = self._grey, self._mask
        self._grey, self._mask = grey, small
        if before is None or mask_before is None or before.shape != grey.shape:
            return math.nan
        # Flow from this frame back to the one before, so that every pixel of this frame gets one answer.
        flow = self._flow.calc(grey, before, np.zeros((*grey.shape, 2), np.float32))
        x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
        x, y = x + flow[..., 0], y + flow[..., 1]
        warped = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        expected = cv2.remap(mask_before, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        inside = (x >= 0) & (y >= 0) & (x <= size[0] - 1) & (y <= size[1] - 1)
        valid = inside & (cv2.absdiff(warped, grey) < self._EXPLAINED)
        return float(np.mean(expected[valid] == small[valid])) if valid.any() else math.nan
