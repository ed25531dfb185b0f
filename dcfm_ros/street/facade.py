"""What house fronts look like: walls, windows, doors and shops."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street.jit import kernel
from dcfm_ros.street.patterns import bricks, fade, hashed, noise_at, stripe


@kernel
def facade(u, v, p, color, footprint, noise):
    """Albedo and gloss of a front with windows, doors and shops. p: FrontParams."""
    style = p.style
    bay = p.bay
    storey = p.storey
    ground = p.ground
    seed = p.seed
    tone = _wall(style, u, v, color, footprint, noise)
    tone *= 1.0 - 0.25 * np.exp(-v * 2.2)
    r, g, b = color[0] * tone, color[1] * tone, color[2] * tone
    top = p.height
    if v > top - 0.35:
        band = 1.15 if v > top - 0.28 else 0.6
        return r * band, g * band, b * band, 0.0
    column = np.floor(u / bay)
    x = u - (column + 0.5) * bay
    if v < ground:
        if p.shop == 1.0:
            return _shop(x, u, v, column, p, r, g, b, footprint, noise)
        level = 0.0
        y = v
        sill = 0.9
        height = min(p.window_height, ground - 1.3)
    else:
        level = np.floor((v - ground) / storey) + 1
        y = v - ground - (level - 1) * storey
        sill = 0.75
        height = p.window_height
        if ground + level * storey > top + 0.3:
            return r, g, b, 0.0
    half = p.window_width * 0.5
    if (column + 1) * bay > p.width + 0.05:
        return r, g, b, 0.0
    if level == 0.0 and hashed(column, 1, seed) < 0.3:
        return _door(x, y, p, r, g, b)
    up = y - sill
    if -0.12 < up <= 0.0 and abs(x) < half + 0.1:
        return 0.45 + 0.1 * p.frame, 0.44 + 0.1 * p.frame, 0.4 + 0.1 * p.frame, 0.0
    if style == 0 and height < up < height + 0.2 and abs(x) < half + 0.12:
        return r * 1.25 + 0.08, g * 1.25 + 0.08, b * 1.25 + 0.07, 0.0
    if abs(x) < half and 0.0 < up < height:
        return _window(x, up, half, height, hashed(column, level, seed + 0.4), p)
    return r, g, b, 0.0


@kernel
def _door(x, y, p, r, g, b):
    """A front door, `x` from its middle, with the wall around it."""
    half = 0.5
    if abs(x) < half + 0.12 and y < 2.25:
        if abs(x) > half or y > 2.12:
            return p.frame, p.frame, p.frame * 0.96, 0.0
        panel = 0.75 if (abs(abs(x) - 0.22) < 0.13 and 0.15 < y - np.floor(y / 0.95) * 0.95 < 0.8) else 1.0
        if y > 1.75:
            return 0.04, 0.05, 0.06, 0.6
        return p.red * panel, p.green * panel, p.blue * panel, 0.1
    return r, g, b, 0.0


@kernel
def _window(x, up, half, height, mood, p):
    """A window of 2·half × height, `x` from its middle; `mood` 0-1: curtains, a lit room, or dark glass."""
    frame = 0.07
    if abs(x) > half - frame or up < frame or up > height - frame:
        return p.frame, p.frame, p.frame * 0.97, 0.0
    if p.sash > 0:
        if abs(x) < 0.025 or abs(up - height * 0.5) < 0.03:
            return p.frame, p.frame, p.frame * 0.97, 0.0
        if p.sash > 1 and min(abs(x - half * 0.5), abs(x + half * 0.5)) < 0.015:
            return p.frame, p.frame, p.frame * 0.97, 0.0
    shadow = 0.45 if (up > height - 0.28 or x < -half + 0.2) else 1.0
    if mood < 0.45 and abs(x) > half * (0.35 + mood):
        return 0.35 * shadow, 0.33 * shadow, 0.29 * shadow, 0.35
    if mood > 0.9:
        return 0.3 * shadow, 0.26 * shadow, 0.18 * shadow, 0.3
    return 0.025 * shadow, 0.03 * shadow, 0.035 * shadow, 0.8


@kernel
def _shop(x, u, v, column, p, r, g, b, footprint, noise):
    """Ground floor of a shop: pillars, glass with goods behind it, a door, a fascia with letters."""
    ground = p.ground
    bay = p.bay
    if v > ground - 0.12 or v < 0.0:
        return 0.4, 0.39, 0.37, 0.0
    fascia = ground - 0.85
    if v > fascia:
        letter = np.floor(u / 0.32)
        lx = (u / 0.32 - letter) * 3
        ly = (v - fascia - 0.17) / 0.42 * 4
        written = 0 < ly < 4 and 0.25 < (u / p.width) % 1.0 < 0.78 and hashed(letter, 5, p.seed) > 0.15
        if written and hashed(int(lx) + 4 * int(ly), letter, p.seed) > 0.42 and lx < 2.5:
            light = 0.75 if p.red + p.green + p.blue < 1.0 else 0.05
            return light, light, light * 0.9, 0.0
        return p.red, p.green, p.blue, 0.1
    if abs(x) > bay * 0.5 - 0.13:
        return p.red * 0.7 + 0.03, p.green * 0.7 + 0.03, p.blue * 0.7 + 0.03, 0.1
    if hashed(column, 2, p.seed) < 0.35 and abs(x) < 0.6:
        if abs(x) > 0.52:
            return 0.25, 0.25, 0.26, 0.2
        return 0.03, 0.03, 0.035, 0.5
    if v < 0.5:
        return p.red * 0.55 + 0.02, p.green * 0.55 + 0.02, p.blue * 0.55 + 0.02, 0.05
    if abs(x - 0.5) < 0.025 or v < 0.56:
        return 0.3, 0.3, 0.3, 0.2
    goods = hashed(np.floor(u / 0.4), np.floor(v / 0.45), p.seed)
    if v < 1.7 and goods > 0.45:
        warm = 0.06 + 0.3 * (goods - 0.45)
        return warm * (0.4 + p.blue), warm * (0.5 + p.red * 0.5), warm * (0.5 + p.green), 0.55
    return 0.03, 0.03, 0.03, 0.65


@kernel
def _wall(style, u, v, color, footprint, noise):
    """Plain wall by style: 0 brick, 1 render, 2 stone blocks, 3 panels."""
    if style == 0:
        return bricks(u, v, footprint, noise)
    stain = 1.0 + 0.1 * noise_at(noise, u * 14, v * 5) + 0.08 * noise_at(noise, u * 3, v * 1.2)
    if style == 1:
        return stain + 0.05 * noise_at(noise, u * 90, v * 90)
    size = 0.42 if style == 2 else 1.6
    line = np.floor(v / size)
    shift = 0.5 * (int(line) & 1) if style == 2 else 0.0
    column = np.floor(u / (2 * size) + shift)
    joint = max(
        stripe(v / size - line, 0.0, 0.05 if style == 2 else 0.02, footprint / size),
        stripe(u / (2 * size) + shift - column, 0.0, 0.03 if style == 2 else 0.012, footprint / size),
    )
    return stain + fade(footprint, size) * (0.12 * (hashed(column, line, 0.5) - 0.5)) - 0.3 * joint
