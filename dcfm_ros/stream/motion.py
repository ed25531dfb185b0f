"""How much an image has changed since the key frame: cheap, and blind to exposure and noise."""

from __future__ import annotations

import cv2
import numpy as np

from dcfm_ros.arrays import Floats, Image

SIZE = (64, 48)
LOCAL_SIGMA = 6.0  # thumbnail pixels: what varies more slowly (exposure, vignetting) is taken out
NOISE_LEVEL = 2.0  # grey levels: contrast below this is not structure but noise


def structure(rgb: Image) -> Floats:
    """The local contrast of an image, float32 48×64. rgb: uint8 H×W×3.

    Averaging over the thumbnail's large pixels takes out sensor noise, subtracting the local mean takes out exposure.
    """
    small = cv2.resize(rgb, SIZE, interpolation=cv2.INTER_AREA)
    return local_contrast(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)), LOCAL_SIGMA)


def local_contrast(grey: Image, sigma: float) -> Floats:
    """A thumbnail, uint8 h×w, less what varies more slowly than `sigma` pixels: float32 h×w.

    The smaller `sigma`, the less a picture may be misplaced to count as the same.
    """
    values = grey.astype(np.float32)
    return values - cv2.GaussianBlur(values, (0, 0), sigma)


def change(before: Floats, now: Floats) -> float:
    """1 - correlation of two `structure`s, within 0 (the same) and 1 (nothing in common).

    Correlation does not see gain. Where there is no structure to compare (a blank wall, a dark room) it is 0.
    """
    noise = NOISE_LEVEL**2 * now.size
    common = float(np.vdot(before, now)) + noise
    scale = np.sqrt((float(np.vdot(before, before)) + noise) * (float(np.vdot(now, now)) + noise))
    return float(np.clip(1.0 - common / scale, 0.0, 1.0))
