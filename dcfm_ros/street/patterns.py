"""What the materials are drawn with: noise, hashed numbers, stripes and brickwork, which fade with distance."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street.jit import kernel
from dcfm_ros.street.textures import NOISE


@kernel
def noise_at(noise, x, y):
    """The noise texture at (x, y) texels, wrapped, bilinear."""
    fx = np.floor(x)
    fy = np.floor(y)
    x0 = int(fx) & (NOISE - 1)
    y0 = int(fy) & (NOISE - 1)
    x1 = (x0 + 1) & (NOISE - 1)
    y1 = (y0 + 1) & (NOISE - 1)
    ax = x - fx
    ay = y - fy
    top = noise[y0, x0] * (1 - ax) + noise[y0, x1] * ax
    low = noise[y1, x0] * (1 - ax) + noise[y1, x1] * ax
    return top * (1 - ay) + low * ay


@kernel
def hashed(a, b, c):
    """A number in 0..1 that depends on three numbers, whole ones or seeds."""
    n = (int(a) * 374761393 + int(b) * 668265263 + int(c * 1024.0) * 2147483647 + 1013904223) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    n = ((n ^ (n >> 16)) * 2246822519) & 0xFFFFFFFF
    return float((n ^ (n >> 15)) & 0xFFFF) / 65535.0


@kernel
def fade(footprint, size):
    """How much of a detail of `size` metres is left when a sample covers `footprint` metres."""
    ratio = footprint / size
    return 1.0 / (1.0 + ratio * ratio)


@kernel
def stripe(x, low, high, footprint):
    """Share of a sample around `x` that lies in low..high."""
    half = max(0.5 * footprint, 1e-4)
    a = max(x - half, low)
    b = min(x + half, high)
    return max(0.0, b - a) / (2 * half)


@kernel
def bricks(u, v, footprint, noise):
    """Brightness of brickwork: mortar joints and tones of single bricks."""
    line = np.floor(v / 0.075)
    shift = 0.5 * (int(line) & 1)
    column = np.floor(u / 0.225 + shift)
    joint = max(
        stripe(v / 0.075 - line, 0.0, 0.16, footprint / 0.075),
        stripe(u / 0.225 + shift - column, 0.0, 0.06, footprint / 0.225),
    )
    tone = (hashed(column, line, 0.3) - 0.5) * 0.35
    keep = fade(footprint, 0.08)
    return 1.0 + keep * (tone + joint * 0.35) + 0.12 * noise_at(noise, u * 40, v * 40)
