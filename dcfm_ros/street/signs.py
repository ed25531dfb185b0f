"""What is on signs and boards: rings, triangles, arrows, adverts and lines of text."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street.jit import kernel
from dcfm_ros.street.patterns import hashed


@kernel
def sign(u, v, kind, seed):
    """Faces of traffic signs and adverts; `kind` and `seed` as in SignParams."""
    kind = int(kind)
    if kind == 0:
        radius = np.sqrt(u * u + v * v)
        if radius > 0.74:
            return 0.6, 0.02, 0.03
        digit = abs(v) < 0.38 and 0.08 < abs(u) < 0.5 and not (abs(v) < 0.2 and 0.2 < abs(u) < 0.36)
        return (0.03, 0.03, 0.03) if digit else (0.75, 0.75, 0.75)
    if kind == 1:
        inside = v > -0.66 and abs(u) < (0.6 - v) * 0.56
        if not inside:
            return 0.6, 0.02, 0.03
        return (0.04, 0.04, 0.04) if (abs(u) < 0.09 and -0.5 < v < 0.3) else (0.75, 0.75, 0.72)
    if kind == 3:
        arrow = (abs(u) < 0.13 and v < 0.2) or (0.1 < v < 0.65 and abs(u) < (0.65 - v) * 0.8)
        return (0.75, 0.75, 0.78) if arrow else (0.02, 0.1, 0.5)
    if kind == 5:
        return 0.25, 0.25, 0.26
    edge = max(abs(u), abs(v)) > 0.93
    row = np.floor((v + 1) * 2.5)
    inside_row = (v + 1) * 2.5 - row
    text = 0.25 < inside_row < 0.7 and abs(u) < 0.8 and hashed(np.floor((u + 1) * 11), row, seed) > 0.4
    if kind == 2:
        if edge or text:
            return 0.75, 0.75, 0.75
        return (0.01, 0.12, 0.4) if seed < 0.5 else (0.01, 0.22, 0.1)
    if edge:
        return 0.1, 0.1, 0.1
    base_r, base_g, base_b = hashed(1, 1, seed), hashed(2, 1, seed), hashed(3, 1, seed)
    if text and row > 2:
        return 0.8 - base_r * 0.7, 0.8 - base_g * 0.7, 0.8 - base_b * 0.7
    blob = (u + 0.3) ** 2 + (v + 0.3) ** 2 < 0.25
    return (base_b, base_r, base_g) if blob else (0.1 + 0.7 * base_r, 0.1 + 0.7 * base_g, 0.1 + 0.7 * base_b)


@kernel
def text(u, v, seed, color):
    """A board with dark letters: albedo and gloss."""
    cell = np.floor(u * 7)
    inside = u * 7 - cell
    on = (
        0.2 < v < 0.8
        and 0.15 < inside < 0.85
        and hashed(np.floor(inside * 3) + 3 * np.floor(v * 5), cell, seed) > 0.4
    )
    return (0.02, 0.02, 0.02, 0.1) if on else (color[0], color[1], color[2], 0.1)
