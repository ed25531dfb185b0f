"""What each material looks like: its albedo and gloss at a point, computed per sample."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street import materials
from dcfm_ros.street.jit import kernel
from dcfm_ros.street.raster import card_texel
from dcfm_ros.street.textures import NOISE

_ROAD, _PAVEMENT, _FACADE, _ROOF = materials.ROAD, materials.PAVEMENT, materials.FACADE, materials.ROOF
_GRASS, _BRICK, _HEDGE, _BARK = materials.GRASS, materials.BRICK, materials.HEDGE, materials.BARK
_WHEEL, _TEXT, _SIGN, _GLASS, _PAINT = (
    materials.WHEEL,
    materials.TEXT,
    materials.SIGN,
    materials.GLASS,
    materials.PAINT,
)
_LEAVES, _BRANCHES = materials.LEAVES, materials.BRANCHES


@kernel
def noise_at(noise, x, y):  # type: ignore[no-untyped-def]
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
def hashed(a, b, c):  # type: ignore[no-untyped-def]
    """A number in 0..1 that depends on three numbers, whole ones or seeds."""
    n = (int(a) * 374761393 + int(b) * 668265263 + int(c * 1024.0) * 2147483647 + 1013904223) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    n = ((n ^ (n >> 16)) * 2246822519) & 0xFFFFFFFF
    return float((n ^ (n >> 15)) & 0xFFFF) / 65535.0


@kernel
def _fade(footprint, size):  # type: ignore[no-untyped-def]
    """How much of a detail of `size` metres is left when a sample covers `footprint` metres."""
    ratio = footprint / size
    return 1.0 / (1.0 + ratio * ratio)


@kernel
def _stripe(x, low, high, footprint):  # type: ignore[no-untyped-def]
    """Share of a sample around `x` that lies in low..high."""
    half = max(0.5 * footprint, 1e-4)
    a = max(x - half, low)
    b = min(x + half, high)
    return max(0.0, b - a) / (2 * half)


@kernel
def _bricks(u, v, footprint, noise):  # type: ignore[no-untyped-def]
    """Brightness of brickwork: mortar joints and tones of single bricks."""
    line = np.floor(v / 0.075)
    shift = 0.5 * (int(line) & 1)
    column = np.floor(u / 0.225 + shift)
    joint = max(
        _stripe(v / 0.075 - line, 0.0, 0.16, footprint / 0.075),
        _stripe(u / 0.225 + shift - column, 0.0, 0.06, footprint / 0.225),
    )
    tone = (hashed(column, line, 0.3) - 0.5) * 0.35
    keep = _fade(footprint, 0.08)
    return 1.0 + keep * (tone + joint * 0.35) + 0.12 * noise_at(noise, u * 40, v * 40)


@kernel
def _road(u, v, p, color, across, along, noise):  # type: ignore[no-untyped-def]
    """Asphalt and paint. p: seed, -, left edge, right edge, lane width, centre style, edge style, parking left, parking right,
    zebra start (or 0), give-way line side."""
    fade = _fade(max(across, along), 0.06)
    tone = 1.0 + 0.22 * fade * noise_at(noise, u * 83, v * 83) + 0.10 * noise_at(noise, u * 9 + 40, v * 3.2)
    tone += 0.06 * noise_at(noise, u * 2, v * (16.0 / 15.0))
    lane = p[4]
    track = min(abs(abs(u) - lane * 0.5 - 0.75), abs(abs(u) - lane * 0.5 + 0.75))
    tone += 0.07 * max(0.0, 1.0 - track / 0.35) - 0.06 * max(0.0, 1.0 - abs(abs(u) - lane * 0.5) / 0.4)
    patch_u = np.floor((u + 20) / 2.3)
    patch_v = np.floor(v / 6.1)
    if hashed(patch_u, patch_v, p[0]) > 0.93:
        du = (u + 20) / 2.3 - patch_u
        dv = v / 6.1 - patch_v
        if 0.1 < du < 0.85 and 0.1 < dv < 0.1 + 0.8 * hashed(patch_u, patch_v, 0.7):
            tone *= 0.78
    crack = abs(noise_at(noise, u * 11 + 7, v * 4 + 3))
    if crack < 0.03 and noise_at(noise, u * 1.7, v * 1.1 + 99) > 0.35:
        tone *= 1.0 - 0.35 * _fade(max(across, along), 0.03)
    hole_v = np.floor(v / 17.0)
    hole_u = (hashed(hole_v, 3, p[0]) - 0.5) * 2 * lane
    mv = v - (hole_v + 0.5) * 17.0
    mu = u - hole_u
    radius = mu * mu + mv * mv
    if radius < 0.1:
        tone *= 0.6 + 0.25 * (int(np.floor(mu * 16) + np.floor(mv * 16)) & 1) * fade
    edge_left = p[2]
    edge_right = p[3]
    gutter = min(edge_left - u, u - edge_right)
    if gutter < 0.35:
        tone *= 0.86 + 0.4 * max(gutter, 0.0)
    r, g, b = color[0] * tone, color[1] * tone, color[2] * tone
    white = 0.0
    if p[5] == 1.0:
        dash = v / 6.0 - np.floor(v / 6.0)
        white = _stripe(u, -0.06, 0.06, across) * _stripe(dash, 0.0, 0.55, along / 6.0)
    elif p[5] == 2.0:
        dash = v / 10.0 - np.floor(v / 10.0)
        white = _stripe(u, -0.06, 0.06, across) * _stripe(dash, 0.0, 0.3, along / 10.0)
    elif p[5] == 3.0:
        white = _stripe(u, -0.17, -0.07, across) + _stripe(u, 0.07, 0.17, across)
    if p[7] > 0:
        bay = v / 6.0 - np.floor(v / 6.0)
        line = edge_left - p[7]
        white += _stripe(u, line - 0.05, line + 0.05, across) * _stripe(bay, 0.0, 0.6, along / 6)
    if p[8] > 0:
        bay = v / 6.0 - np.floor(v / 6.0)
        line = edge_right + p[8]
        white += _stripe(u, line - 0.05, line + 0.05, across) * _stripe(bay, 0.0, 0.6, along / 6)
    if p[9] != 0.0:
        z = v - p[9]
        if 0 < z < 3.0:
            bar = (u + 50) / 1.2 - np.floor((u + 50) / 1.2)
            white = _stripe(bar, 0.0, 0.5, across / 1.2)
        elif -2.2 < z < -1.9 or 4.9 < z < 5.2:
            white = 0.9
        elif -20 < z < 23:
            zig = abs((v / 4.0 - np.floor(v / 4.0)) - 0.5) * 0.5
            near = abs(abs(u) - 0.25 - zig)
            white = _stripe(near, -0.06, 0.06, across)
    if p[10] != 0.0:
        arrow = v - p[10]
        x = u - lane * 0.5
        if 0 < arrow < 4.0:
            if arrow < 2.6:
                white = max(white, _stripe(x, -0.08, 0.08, across))
            else:
                half = (4.0 - arrow) * 0.3
                white = max(white, _stripe(x, -half, half, across))
    wear = min(max(0.75 + 0.5 * noise_at(noise, u * 30, v * 30), 0.25), 1.0)
    white = min(white, 1.0) * wear * 0.9
    r, g, b = r + (0.62 - r) * white, g + (0.62 - g) * white, b + (0.6 - b) * white
    yellow = 0.0
    if p[6] >= 1.0:
        yellow = _stripe(gutter, 0.24, 0.33, across)
    if p[6] >= 2.0:
        yellow += _stripe(gutter, 0.44, 0.53, across)
    yellow = min(yellow, 1.0) * wear * 0.8
    return r + (0.55 - r) * yellow, g + (0.4 - g) * yellow, b + (0.06 - b) * yellow


@kernel
def _pavement(u, v, p, color, footprint, noise):  # type: ignore[no-untyped-def]
    size = 0.6
    row = np.floor(u / size)
    shift = 0.5 * (int(row) & 1)
    column = np.floor(v / (size * 1.5) + shift)
    joint = max(
        _stripe(u / size - row, 0.0, 0.035, footprint / size),
        _stripe(v / (size * 1.5) + shift - column, 0.0, 0.025, footprint / size),
    )
    keep = _fade(footprint, 0.3)
    tone = 1.0 + keep * (0.16 * (hashed(row, column, p[0]) - 0.5) - 0.4 * joint)
    tone += 0.10 * noise_at(noise, u * 9, v * 9) + 0.12 * _fade(footprint, 0.05) * noise_at(
        noise, u * 71, v * 71
    )
    return color[0] * tone, color[1] * tone, color[2] * tone


@kernel
def _wall(style, u, v, color, footprint, noise):  # type: ignore[no-untyped-def]
    """Plain wall by style: 0 brick, 1 render, 2 stone blocks, 3 panels."""
    if style == 0:
        return _bricks(u, v, footprint, noise)
    stain = 1.0 + 0.1 * noise_at(noise, u * 14, v * 5) + 0.08 * noise_at(noise, u * 3, v * 1.2)
    if style == 1:
        return stain + 0.05 * noise_at(noise, u * 90, v * 90)
    size = 0.42 if style == 2 else 1.6
    line = np.floor(v / size)
    shift = 0.5 * (int(line) & 1) if style == 2 else 0.0
    column = np.floor(u / (2 * size) + shift)
    joint = max(
        _stripe(v / size - line, 0.0, 0.05 if style == 2 else 0.02, footprint / size),
        _stripe(u / (2 * size) + shift - column, 0.0, 0.03 if style == 2 else 0.012, footprint / size),
    )
    return stain + _fade(footprint, size) * (0.12 * (hashed(column, line, 0.5) - 0.5)) - 0.3 * joint


@kernel
def _facade(u, v, p, color, footprint, noise):  # type: ignore[no-untyped-def]
    """A front with windows, doors and shops. p: seed, -, storey height, ground storey height, bay width, window width, window
    height, style, shop (0/1), accent r g b, frame brightness, wall height, wall width, sash bars.
    Returns r, g, b, gloss."""
    style = p[7]
    bay = p[4]
    storey = p[2]
    ground = p[3]
    seed = p[0]
    tone = _wall(style, u, v, color, footprint, noise)
    tone *= 1.0 - 0.25 * np.exp(-v * 2.2)
    r, g, b = color[0] * tone, color[1] * tone, color[2] * tone
    top = p[13]
    if v > top - 0.35:
        band = 1.15 if v > top - 0.28 else 0.6
        return r * band, g * band, b * band, 0.0
    column = np.floor(u / bay)
    x = u - (column + 0.5) * bay
    if v < ground:
        if p[8] == 1.0:
            return _shop(x, u, v, column, p, r, g, b, footprint, noise)
        level = 0.0
        y = v
        sill = 0.9
        height = min(p[6], ground - 1.3)
    else:
        level = np.floor((v - ground) / storey) + 1
        y = v - ground - (level - 1) * storey
        sill = 0.75
        height = p[6]
        if ground + level * storey > top + 0.3:
            return r, g, b, 0.0
    half = p[5] * 0.5
    if (column + 1) * bay > p[14] + 0.05:
        return r, g, b, 0.0
    is_door = level == 0.0 and hashed(column, 1, seed) < 0.3
    if is_door:
        half = 0.5
        if abs(x) < half + 0.12 and y < 2.25:
            if abs(x) > half or y > 2.12:
                return p[12], p[12], p[12] * 0.96, 0.0
            panel = (
                0.75 if (abs(abs(x) - 0.22) < 0.13 and 0.15 < y - np.floor(y / 0.95) * 0.95 < 0.8) else 1.0
            )
            if y > 1.75:
                return 0.04, 0.05, 0.06, 0.6
            return p[9] * panel, p[10] * panel, p[11] * panel, 0.1
        return r, g, b, 0.0
    up = y - sill
    if -0.12 < up <= 0.0 and abs(x) < half + 0.1:
        return 0.45 + 0.1 * p[12], 0.44 + 0.1 * p[12], 0.4 + 0.1 * p[12], 0.0
    if style == 0 and height < up < height + 0.2 and abs(x) < half + 0.12:
        return r * 1.25 + 0.08, g * 1.25 + 0.08, b * 1.25 + 0.07, 0.0
    if abs(x) < half and 0.0 < up < height:
        frame = 0.07
        if abs(x) > half - frame or up < frame or up > height - frame:
            return p[12], p[12], p[12] * 0.97, 0.0
        if p[15] > 0:
            if abs(x) < 0.025 or abs(up - height * 0.5) < 0.03:
                return p[12], p[12], p[12] * 0.97, 0.0
            if p[15] > 1 and min(abs(x - half * 0.5), abs(x + half * 0.5)) < 0.015:
                return p[12], p[12], p[12] * 0.97, 0.0
        shadow = 0.45 if (up > height - 0.28 or x < -half + 0.2) else 1.0
        mood = hashed(column, level, seed + 0.4)
        if mood < 0.45 and abs(x) > half * (0.35 + mood):
            return 0.35 * shadow, 0.33 * shadow, 0.29 * shadow, 0.35
        if mood > 0.9:
            return 0.3 * shadow, 0.26 * shadow, 0.18 * shadow, 0.3
        return 0.025 * shadow, 0.03 * shadow, 0.035 * shadow, 0.8
    return r, g, b, 0.0


@kernel
def _shop(x, u, v, column, p, r, g, b, footprint, noise):  # type: ignore[no-untyped-def]
    """Ground floor of a shop: pillars, glass with goods behind it, a door, a fascia with letters."""
    ground = p[3]
    bay = p[4]
    if v > ground - 0.12 or v < 0.0:
        return 0.4, 0.39, 0.37, 0.0
    fascia = ground - 0.85
    if v > fascia:
        letter = np.floor(u / 0.32)
        lx = (u / 0.32 - letter) * 3
        ly = (v - fascia - 0.17) / 0.42 * 4
        written = 0 < ly < 4 and 0.25 < (u / p[14]) % 1.0 < 0.78 and hashed(letter, 5, p[0]) > 0.15
        if written and hashed(int(lx) + 4 * int(ly), letter, p[0]) > 0.42 and lx < 2.5:
            light = 0.75 if p[9] + p[10] + p[11] < 1.0 else 0.05
            return light, light, light * 0.9, 0.0
        return p[9], p[10], p[11], 0.1
    if abs(x) > bay * 0.5 - 0.13:
        return p[9] * 0.7 + 0.03, p[10] * 0.7 + 0.03, p[11] * 0.7 + 0.03, 0.1
    if hashed(column, 2, p[0]) < 0.35 and abs(x) < 0.6:
        if abs(x) > 0.52:
            return 0.25, 0.25, 0.26, 0.2
        return 0.03, 0.03, 0.035, 0.5
    if v < 0.5:
        return p[9] * 0.55 + 0.02, p[10] * 0.55 + 0.02, p[11] * 0.55 + 0.02, 0.05
    if abs(x - 0.5) < 0.025 or v < 0.56:
        return 0.3, 0.3, 0.3, 0.2
    goods = hashed(np.floor(u / 0.4), np.floor(v / 0.45), p[0])
    if v < 1.7 and goods > 0.45:
        warm = 0.06 + 0.3 * (goods - 0.45)
        return warm * (0.4 + p[11]), warm * (0.5 + p[9] * 0.5), warm * (0.5 + p[10]), 0.55
    return 0.03, 0.03, 0.03, 0.65


@kernel
def _sign(u, v, kind, seed):  # type: ignore[no-untyped-def]
    """Faces of traffic signs: 0 red ring, 1 warning triangle, 2 blue or green board, 3 blue disc, 4 advert, 5 back."""
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
def surface(mat, u, v, color, p, across, along, noise, cards, cards_far):  # type: ignore[no-untyped-def]
    """Albedo r, g, b (linear) and gloss (0 matt .. 1 mirror) of a material at (u, v); a sample covers across×along metres."""
    if mat == _ROAD:
        r, g, b = _road(u, v, p, color, across, along, noise)
        return r, g, b, 0.0
    if mat == _FACADE:
        return _facade(u, v, p, color, max(across, along), noise)
    if mat == _LEAVES or mat == _BRANCHES:
        shade = card_texel(cards, cards_far, u, v, across < 0.02, 1)
        tone = 0.35 + 1.3 * shade
        return color[0] * tone, color[1] * tone, color[2] * tone, 0.0
    footprint = max(across, along)
    if mat == _PAVEMENT:
        r, g, b = _pavement(u, v, p, color, footprint, noise)
        return r, g, b, 0.0
    if mat == _BRICK:
        tone = _bricks(u, v, footprint, noise)
        if p[1] > 0 and v > p[1] - 0.08:
            return 0.4, 0.38, 0.34, 0.0
        return color[0] * tone, color[1] * tone, color[2] * tone, 0.0
    if mat == _ROOF:
        line = np.floor(v / 0.28)
        y = v / 0.28 - line
        shift = 0.5 * (int(line) & 1)
        column = np.floor(u / 0.25 + shift)
        keep = _fade(footprint, 0.2)
        tone = 1.0 + keep * (
            0.25 * (hashed(column, line, 0.2) - 0.5) - 0.3 * _stripe(y, 0.0, 0.15, footprint / 0.28)
        )
        tone += 0.2 * noise_at(noise, u * 12, v * 12)
        return color[0] * tone, color[1] * tone, color[2] * tone, 0.0
    if mat == _GRASS:
        tone = (
            1.0
            + 0.35 * noise_at(noise, u * 7, v * 7)
            + 0.5 * _fade(footprint, 0.05) * noise_at(noise, u * 97, v * 61)
        )
        dry = 0.15 * noise_at(noise, u * 1.3 + 50, v * 1.3)
        return color[0] * (tone + dry), color[1] * tone, color[2] * tone, 0.0
    if mat == _HEDGE:
        tone = (
            0.85
            + 0.55 * _fade(footprint, 0.06) * noise_at(noise, u * 61, v * 61)
            + 0.3 * noise_at(noise, u * 19, v * 19)
        )
        tone = max(tone, 0.12)
        return color[0] * tone, color[1] * tone, color[2] * tone, 0.0
    if mat == _BARK:
        tone = 1.0 + 0.4 * noise_at(noise, u * 120, v * 20) + 0.2 * noise_at(noise, u * 40, v * 40)
        return color[0] * tone, color[1] * tone, color[2] * tone, 0.0
    if mat == _SIGN:
        r, g, b = _sign(u, v, p[0], p[2])
        return r, g, b, 0.15
    if mat == _WHEEL:
        radius = np.sqrt(u * u + v * v)
        if radius > 0.68:
            return 0.02, 0.02, 0.022, 0.05
        if radius < 0.14:
            return 0.2, 0.2, 0.2, 0.3
        angle = np.arctan2(v, u) * (5 / (2 * np.pi)) + p[0]
        spoke = abs(angle - np.floor(angle) - 0.5)
        tone = 0.42 if spoke > 0.22 or radius > 0.6 else 0.06
        return tone, tone, tone * 1.02, 0.3
    if mat == _TEXT:
        cell = np.floor(u * 7)
        inside = u * 7 - cell
        on = (
            0.2 < v < 0.8
            and 0.15 < inside < 0.85
            and hashed(np.floor(inside * 3) + 3 * np.floor(v * 5), cell, p[0]) > 0.4
        )
        return (0.02, 0.02, 0.02, 0.1) if on else (color[0], color[1], color[2], 0.1)
    if mat == _GLASS:
        return color[0], color[1], color[2], 0.9
    if mat == _PAINT:
        return color[0], color[1], color[2], 0.35
    tone = 1.0 + 0.06 * noise_at(noise, u * 50, v * 50)
    return color[0] * tone, color[1] * tone, color[2] * tone, 0.0
