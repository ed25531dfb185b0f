"""What lens and sensor add: softness, vignetting, tint, noise, and the tone curve to 8 bits."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street.style import Style

_STEPS = 4096
_WHITE = 1.25


def develop(light: NDArray[np.float32], style: Style, noise: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light (float32 H×W×3) to a picture (uint8 H×W×3 RGB); `noise` H×W×3 standard normal."""
    soft = np.asarray(cv2.GaussianBlur(light, (0, 0), style.softness), np.float32)
    soft *= _shading(light.shape[0], light.shape[1], style)
    values = soft * np.float32((_STEPS - 1) / _WHITE)
    np.clip(values, 0, _STEPS - 1, out=values)
    toned = np.take(_curve(style.contrast), values.astype(np.uint16))
    toned += noise * np.float32(255 * style.noise)
    return np.clip(toned, 0, 255).astype(np.uint8)


@lru_cache(maxsize=4)
def _shading(rows: int, cols: int, style: Style) -> NDArray[np.float32]:
    """Fall-off towards the corners times the white balance, H×W×3."""
    y = (np.arange(rows, dtype=np.float32) - rows / 2) / (cols / 2)
    x = (np.arange(cols, dtype=np.float32) - cols / 2) / (cols / 2)
    fall = 1.0 - style.vignette * (x[None, :] ** 2 + y[:, None] ** 2) * 0.7
    return np.asarray(fall[..., None] * np.asarray(style.tint, np.float32), np.float32)


@lru_cache(maxsize=4)
def _curve(contrast: float) -> NDArray[np.float32]:
    """Linear 0..1.25 to display 0..255: a shoulder for the highlights, display gamma, a slight S."""
    x = np.linspace(0, _WHITE, _STEPS)
    shoulder = x * (1 + x / (_WHITE * _WHITE)) / (1 + x) / (_WHITE * (1 + 1 / _WHITE) / (1 + _WHITE))
    display = np.clip(shoulder, 0, 1) ** (1 / 2.1)
    curved = display + 0.12 * contrast * (display - 0.5) * (1 - np.abs(2 * display - 1))
    return np.asarray(np.clip(curved, 0, 1) * 255, np.float32)
