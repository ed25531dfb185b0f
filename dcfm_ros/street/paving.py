"""What roads and pavements look like: asphalt, its wear and its paint; slabs."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street.jit import kernel
from dcfm_ros.street.patterns import fade, hashed, noise_at, stripe


@kernel
def road(u, v, p, color, across, along, noise):
    """Albedo of asphalt and paint. p: RoadParams; a sample covers across×along metres."""
    gutter = min(p.left - u, u - p.right)
    tone = _asphalt(u, v, p, max(across, along), gutter, noise)
    r, g, b = color[0] * tone, color[1] * tone, color[2] * tone
    wear = min(max(0.75 + 0.5 * noise_at(noise, u * 30, v * 30), 0.25), 1.0)
    white = min(_white_paint(u, v, p, across, along), 1.0) * wear * 0.9
    r, g, b = r + (0.62 - r) * white, g + (0.62 - g) * white, b + (0.6 - b) * white
    yellow = 0.0
    if p.edges >= 1.0:
        yellow = stripe(gutter, 0.24, 0.33, across)
    if p.edges >= 2.0:
        yellow += stripe(gutter, 0.44, 0.53, across)
    yellow = min(yellow, 1.0) * wear * 0.8
    return r + (0.55 - r) * yellow, g + (0.4 - g) * yellow, b + (0.06 - b) * yellow


@kernel
def _asphalt(u, v, p, footprint, gutter, noise):
    """Brightness of the asphalt: wheel tracks, patches, cracks, manholes, dirt beside the kerb."""
    near = fade(footprint, 0.06)
    tone = 1.0 + 0.22 * near * noise_at(noise, u * 83, v * 83) + 0.10 * noise_at(noise, u * 9 + 40, v * 3.2)
    tone += 0.06 * noise_at(noise, u * 2, v * (16.0 / 15.0))
    lane = p.lane
    track = min(abs(abs(u) - lane * 0.5 - 0.75), abs(abs(u) - lane * 0.5 + 0.75))
    tone += 0.07 * max(0.0, 1.0 - track / 0.35) - 0.06 * max(0.0, 1.0 - abs(abs(u) - lane * 0.5) / 0.4)
    patch_u = np.floor((u + 20) / 2.3)
    patch_v = np.floor(v / 6.1)
    if hashed(patch_u, patch_v, p.seed) > 0.93:
        du = (u + 20) / 2.3 - patch_u
        dv = v / 6.1 - patch_v
        if 0.1 < du < 0.85 and 0.1 < dv < 0.1 + 0.8 * hashed(patch_u, patch_v, 0.7):
            tone *= 0.78
    crack = abs(noise_at(noise, u * 11 + 7, v * 4 + 3))
    if crack < 0.03 and noise_at(noise, u * 1.7, v * 1.1 + 99) > 0.35:
        tone *= 1.0 - 0.35 * fade(footprint, 0.03)
    hole_v = np.floor(v / 17.0)
    hole_u = (hashed(hole_v, 3, p.seed) - 0.5) * 2 * lane
    mv = v - (hole_v + 0.5) * 17.0
    mu = u - hole_u
    radius = mu * mu + mv * mv
    if radius < 0.1:
        tone *= 0.6 + 0.25 * (int(np.floor(mu * 16) + np.floor(mv * 16)) & 1) * near
    if gutter < 0.35:
        tone *= 0.86 + 0.4 * max(gutter, 0.0)
    return tone


@kernel
def _white_paint(u, v, p, across, along):
    """How much of a sample white paint covers, 0 to a little above 1: lines, bays, a zebra crossing, an arrow."""
    white = 0.0
    if p.centre == 1.0:
        white = stripe(u, -0.06, 0.06, across) * _dash(v, 6.0, 0.55, along)
    elif p.centre == 2.0:
        white = stripe(u, -0.06, 0.06, across) * _dash(v, 10.0, 0.3, along)
    elif p.centre == 3.0:
        white = stripe(u, -0.17, -0.07, across) + stripe(u, 0.07, 0.17, across)
    if p.park_left > 0:
        line = p.left - p.park_left
        white += stripe(u, line - 0.05, line + 0.05, across) * _dash(v, 6.0, 0.6, along)
    if p.park_right > 0:
        line = p.right + p.park_right
        white += stripe(u, line - 0.05, line + 0.05, across) * _dash(v, 6.0, 0.6, along)
    if p.zebra != 0.0:
        z = v - p.zebra
        if 0 < z < 3.0:
            bar = (u + 50) / 1.2 - np.floor((u + 50) / 1.2)
            white = stripe(bar, 0.0, 0.5, across / 1.2)
        elif -2.2 < z < -1.9 or 4.9 < z < 5.2:
            white = 0.9
        elif -20 < z < 23:
            zig = abs((v / 4.0 - np.floor(v / 4.0)) - 0.5) * 0.5
            near = abs(abs(u) - 0.25 - zig)
            white = stripe(near, -0.06, 0.06, across)
    if p.arrow != 0.0:
        arrow = v - p.arrow
        x = u - p.lane * 0.5
        if 0 < arrow < 4.0:
            half = 0.08 if arrow < 2.6 else (4.0 - arrow) * 0.3
            white = max(white, stripe(x, -half, half, across))
    return white


@kernel
def _dash(v, period, share, along):
    """How much of a sample lies on the first `share` of a period, metres along the road."""
    return stripe(v / period - np.floor(v / period), 0.0, share, along / period)


@kernel
def pavement(u, v, seed, color, footprint, noise):
    """Albedo of slabs, rows of which are shifted by half a slab."""
    size = 0.6
    row = np.floor(u / size)
    shift = 0.5 * (int(row) & 1)
    column = np.floor(v / (size * 1.5) + shift)
    joint = max(
        stripe(u / size - row, 0.0, 0.035, footprint / size),
        stripe(v / (size * 1.5) + shift - column, 0.0, 0.025, footprint / size),
    )
    keep = fade(footprint, 0.3)
    tone = 1.0 + keep * (0.16 * (hashed(row, column, seed) - 0.5) - 0.4 * joint)
    tone += 0.10 * noise_at(noise, u * 9, v * 9) + 0.12 * fade(footprint, 0.05) * noise_at(
        noise, u * 71, v * 71
    )
    return color[0] * tone, color[1] * tone, color[2] * tone
