"""What each material looks like: its albedo and gloss at a point, computed per sample."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street import materials
from dcfm_ros.street.cutout import card_texel
from dcfm_ros.street.facade import facade
from dcfm_ros.street.jit import kernel
from dcfm_ros.street.params import front_params, road_params, sign_params
from dcfm_ros.street.patterns import bricks, fade, hashed, noise_at, stripe
from dcfm_ros.street.paving import pavement, road
from dcfm_ros.street.signs import sign, text

_ROAD, _PAVEMENT, _FACADE, _ROOF = materials.ROAD, materials.PAVEMENT, materials.FACADE, materials.ROOF
_GRASS, _BRICK, _HEDGE, _BARK = materials.GRASS, materials.BRICK, materials.HEDGE, materials.BARK
_WHEEL, _TEXT, _SIGN = materials.WHEEL, materials.TEXT, materials.SIGN
_GLASS, _PAINT = materials.GLASS, materials.PAINT
_LEAVES, _BRANCHES = materials.LEAVES, materials.BRANCHES


@kernel
def surface(mat, u, v, color, params, across, along, noise, cards, cards_far):
    """Albedo r, g, b (linear) and gloss (0 matt .. 1 mirror) of a material at (u, v); a sample covers across×along metres.
    params: the object's row of `Mesh.params`."""
    if mat == _ROAD:
        r, g, b = road(u, v, road_params(params), color, across, along, noise)
        return r, g, b, 0.0
    footprint = max(across, along)
    if mat == _FACADE:
        return facade(u, v, front_params(params), color, footprint, noise)
    if mat == _PAVEMENT:
        r, g, b = pavement(u, v, params[0], color, footprint, noise)
        return r, g, b, 0.0
    if mat == _BRICK and params[0] > 0 and v > params[0] - 0.08:
        return 0.4, 0.38, 0.34, 0.0
    if mat == _SIGN:
        board = sign_params(params)
        r, g, b = sign(u, v, board.kind, board.seed)
        return r, g, b, 0.15
    if mat == _WHEEL:
        return _wheel(u, v, params[0])
    if mat == _TEXT:
        return text(u, v, params[0], color)
    if mat == _GLASS:
        return color[0], color[1], color[2], 0.9
    if mat == _PAINT:
        return color[0], color[1], color[2], 0.35
    if mat == _GRASS:
        tone = (
            1.0
            + 0.35 * noise_at(noise, u * 7, v * 7)
            + 0.5 * fade(footprint, 0.05) * noise_at(noise, u * 97, v * 61)
        )
        dry = 0.15 * noise_at(noise, u * 1.3 + 50, v * 1.3)
        return color[0] * (tone + dry), color[1] * tone, color[2] * tone, 0.0
    tone = _tone(mat, u, v, across, footprint, noise, cards, cards_far)
    return color[0] * tone, color[1] * tone, color[2] * tone, 0.0


@kernel
def _tone(mat, u, v, across, footprint, noise, cards, cards_far):
    """Brightness of the materials that are of one colour."""
    if mat == _LEAVES or mat == _BRANCHES:
        return 0.35 + 1.3 * card_texel(cards, cards_far, u, v, across < 0.02, 1)
    if mat == _BRICK:
        return bricks(u, v, footprint, noise)
    if mat == _ROOF:
        return _tiles(u, v, footprint, noise)
    if mat == _HEDGE:
        near = 0.55 * fade(footprint, 0.06) * noise_at(noise, u * 61, v * 61)
        return max(0.85 + near + 0.3 * noise_at(noise, u * 19, v * 19), 0.12)
    if mat == _BARK:
        return 1.0 + 0.4 * noise_at(noise, u * 120, v * 20) + 0.2 * noise_at(noise, u * 40, v * 40)
    return 1.0 + 0.06 * noise_at(noise, u * 50, v * 50)


@kernel
def _tiles(u, v, footprint, noise):
    """Brightness of a tiled roof."""
    line = np.floor(v / 0.28)
    y = v / 0.28 - line
    shift = 0.5 * (int(line) & 1)
    column = np.floor(u / 0.25 + shift)
    keep = fade(footprint, 0.2)
    tone = 1.0 + keep * (
        0.25 * (hashed(column, line, 0.2) - 0.5) - 0.3 * stripe(y, 0.0, 0.15, footprint / 0.28)
    )
    return tone + 0.2 * noise_at(noise, u * 12, v * 12)


@kernel
def _wheel(u, v, turn):
    """Tyre, rim and hub, turned by `turn` spokes: albedo and gloss."""
    radius = np.sqrt(u * u + v * v)
    if radius > 0.68:
        return 0.02, 0.02, 0.022, 0.05
    if radius < 0.14:
        return 0.2, 0.2, 0.2, 0.3
    angle = np.arctan2(v, u) * (5 / (2 * np.pi)) + turn
    spoke = abs(angle - np.floor(angle) - 0.5)
    tone = 0.42 if spoke > 0.22 or radius > 0.6 else 0.06
    return tone, tone, tone * 1.02, 0.3
