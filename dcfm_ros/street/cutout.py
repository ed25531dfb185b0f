"""Materials with holes: leaves, twigs, railings, wire, signs and spokes, sample by sample."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street import materials
from dcfm_ros.street.jit import kernel
from dcfm_ros.street.textures import CARD, CARD_FAR, CARDS

_LEAVES, _BRANCHES = materials.LEAVES, materials.BRANCHES
_RAILING, _SIGN, _WIRE = materials.RAILING, materials.SIGN, materials.MESHWIRE


@kernel
def card_texel(cards, cards_far, u, v, fine, channel):
    """Coverage (channel 0) or shade (1) of the leaf or branch card number int(u) at (frac(u), v)."""
    card = int(u) % (2 * CARDS)
    x = u - np.floor(u)
    if fine:
        return cards[card, min(int(v * CARD), CARD - 1), min(int(x * CARD), CARD - 1), channel]
    px = x * CARD_FAR - 0.5
    py = v * CARD_FAR - 0.5
    x0 = min(max(int(px), 0), CARD_FAR - 2)
    y0 = min(max(int(py), 0), CARD_FAR - 2)
    fx = min(max(px - x0, 0.0), 1.0)
    fy = min(max(py - y0, 0.0), 1.0)
    top = cards_far[card, y0, x0, channel] * (1 - fx) + cards_far[card, y0, x0 + 1, channel] * fx
    low = cards_far[card, y0 + 1, x0, channel] * (1 - fx) + cards_far[card, y0 + 1, x0 + 1, channel] * fx
    return top * (1 - fy) + low * fy


@kernel
def covered(mat, u, v, footprint, param, cards, cards_far):
    """0: a hole, outside the object; 1: a hole inside its outline; 2: solid. param: the object's first, see params.py."""
    if mat == _LEAVES or mat == _BRANCHES:
        if v < 0.0 or v >= 1.0:
            return 0
        leaf = mat == _LEAVES
        if (footprint < 1.5 / CARD or not leaf) and card_texel(cards, cards_far, u, v, True, 0) > (
            0.5 if leaf else 0.3
        ):
            return 2
        far = card_texel(cards, cards_far, u, v, False, 0)
        if leaf and footprint >= 1.5 / CARD and far > 0.5:
            return 2
        return 1 if far > (0.3 if leaf else 0.18) else 0
    if mat == _RAILING:
        if v > param - 0.06 or (0.08 < v < 0.13):
            return 2
        bar = u / 0.13 - np.floor(u / 0.13)
        if footprint > 0.05:
            return 2 if (bar < 0.35) else 1
        return 2 if bar < 0.2 else 1
    if mat == _WIRE:
        a = (u + v) / 0.09 - np.floor((u + v) / 0.09)
        b = (u - v) / 0.09 - np.floor((u - v) / 0.09)
        if v > param - 0.05 or u / 2.5 - np.floor(u / 2.5) < 0.025:
            return 2
        return 2 if (a < 0.16 or b < 0.16) else 1
    if mat == _SIGN:
        kind = int(param)
        if kind == 0 or kind == 3:
            return 2 if u * u + v * v < 1.0 else 0
        if kind == 1:
            return 2 if (v > -0.9 and abs(u) < (0.95 - v) * 0.56) else 0
        return 2
    radius = u * u + v * v
    if radius > 1.0:
        return 0
    if radius > 0.8 or radius < 0.01:
        return 2
    angle = np.arctan2(v, u) * (10 / np.pi)
    return 2 if angle - np.floor(angle) < 0.12 else 1
