"""How much an image has changed since the key frame: cheap, and blind to exposure and noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (64, 48)
LOCAL_SIGMA = (
    6.0  # thumbnail pixels: brightness that varies more slowly than this (exposure, vignetting) is taken out
)
NOISE_LEVEL = 2.0  # grey levels: contrast below this is not structure but noise


def structure(rgb: NDArray[np.uint8], sigma: float = LOCAL_SIGMA) -> NDArray[np.float32]:
    """The local contrast of an image, float32 48×64.

    rgb: uint8 H×W×3. sigma: in thumbnail pixels; the smaller, the less a picture may be misplaced to count as the same.
    Averaging over the thumbnail's large pixels takes out sensor noise, subtracting the local mean takes out exposure.
    """
    small = cv2.cvtColor(cv2.resize(rgb, SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    grey = small.astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), sigma)


def change(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """1 - correlation of two `structure`s, within 0 (the same) and 1 (nothing in common).

    Correlation does not see gain. Where there is no structure to compare (a blank wall, a dark room) it is 0.
    """
    noise = NOISE_LEVEL**2 * now.size
    common = float(np.vdot(before, now)) + noise
    scale = np.sqrt((float(np.vdot(before, before)) + noise) * (float(np.vdot(now, now)) + noise))
    return float(np.clip(1.0 - common / scale, 0.0, 1.0))
