"""Houses, shops and offices: boxes with procedural fronts, roofs, chimneys, bays, balconies and awnings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.labels import BUILDING, SIGN
from dcfm_ros.street.mesh import MeshBuilder

BRICK, RENDER, STONE, PANEL = 0, 1, 2, 3
_SLATE = np.array([[0.09, 0.09, 0.10], [0.16, 0.09, 0.07], [0.22, 0.12, 0.08], [0.12, 0.11, 0.10]])
_RENDER = np.array(
    [
        [0.62, 0.58, 0.5],
        [0.7, 0.68, 0.64],
        [0.55, 0.48, 0.36],
        [0.5, 0.53, 0.55],
        [0.6, 0.47, 0.4],
        [0.68, 0.62, 0.45],
    ]
)
_STONE = np.array([[0.42, 0.38, 0.3], [0.36, 0.35, 0.33], [0.5, 0.45, 0.36]])
_PANEL = np.array([[0.33, 0.33, 0.33], [0.2, 0.22, 0.25], [0.5, 0.49, 0.47], [0.3, 0.2, 0.15]])
_ACCENT = np.array(
    [[0.3, 0.02, 0.03], [0.02, 0.08, 0.25], [0.01, 0.13, 0.07], [0.03, 0.03, 0.035], [0.5, 0.1, 0.02], [0.45, 0.4, 0.3],
     [0.1, 0.25, 0.3], [0.2, 0.02, 0.16], [0.6, 0.58, 0.55], [0.55, 0.4, 0.03]]
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What the fronts of one row of houses have in common."""

    style: int
    color: NDArray[np.float64]
    storeys: int
    storey: float
    ground: float
    bay: float
    window: tuple[float, float]
    shop: bool
    pitched: bool
    sash: int
    frame: float


def draw_look(rng: np.random.Generator, zone: str, brick: tuple[float, float, float]) -> Look:
    """A look for a zone: "terrace", "shops", "houses" or "modern"."""
    style = int(
        rng.choice(
            [BRICK, RENDER, STONE, PANEL],
            p={"modern": [0.25, 0.2, 0.1, 0.45]}.get(zone, [0.55, 0.3, 0.15, 0.0]),
        )
    )
    if style == BRICK:
        color = np.array(brick) * rng.uniform(0.75, 1.25)
    else:
        table = {RENDER: _RENDER, STONE: _STONE, PANEL: _PANEL}[style]
        color = table[rng.integers(len(table))] * rng.uniform(0.85, 1.1)
    storeys = int(
        {"houses": rng.integers(2, 3), "terrace": rng.integers(2, 4), "shops": rng.integers(2, 5)}.get(
            zone, rng.integers(3, 7)
        )
    )
    modern = zone == "modern"
    bay = float(rng.uniform(2.6, 3.6)) if modern else float(rng.uniform(1.9, 2.8))
    window = (
        (bay * float(rng.uniform(0.55, 0.8)), 1.6)
        if modern
        else (float(rng.uniform(0.9, 1.2)), float(rng.uniform(1.3, 1.7)))
    )
    shop = zone == "shops" or (modern and rng.random() < 0.4)
    return Look(
        style, color, storeys, float(rng.uniform(2.7, 3.2)), float(rng.uniform(3.3, 3.9) if shop else rng.uniform(2.7, 3.1)), bay,
        window, shop, not modern and rng.random() < 0.85, 0 if modern else int(rng.integers(0, 3)),
        float(rng.choice([0.65, 0.7, 0.6, 0.08, 0.25]) if not modern else rng.choice([0.1, 0.3, 0.6])),
    )  # fmt: skip


def add_building(
    out: MeshBuilder,
    rng: np.random.Generator,
    look: Look,
    p0: NDArray[np.float64],
    p1: NDArray[np.float64],
    depth: float,
) -> NDArray[np.float64]:
    """Adds a building whose front runs from `p0` to `p1` (x, y), seen with p0 on the left. Returns its footprint 4×2."""
    along = p1 - p0
    width = float(np.linalg.norm(along))
    along = along / width
    inward = np.array([-along[1], along[0]])
    ring = np.stack([p0, p1, p1 + inward * depth, p0 + inward * depth])
    height = look.ground + look.storey * (look.storeys - 1) + float(rng.uniform(0.2, 0.7))
    accent = _ACCENT[rng.integers(len(_ACCENT))] * rng.uniform(0.7, 1.2)
    bays = max(1, round(width / look.bay))
    bay = width / bays
    seed = float(rng.uniform(1, 60))
    window = (min(look.window[0], bay * 0.82), look.window[1])
    values = [
        seed, 0.0, look.storey, look.ground, bay, window[0], window[1], float(look.style), float(look.shop),
        *accent, look.frame, height, width, float(look.sash),
    ]  # fmt: skip
    front = out.params(values)
    blind = out.params([*values[:8], 0.0, *values[9:14], 0.0, 0.0])
    color = look.color * rng.uniform(0.92, 1.08)
    for i in range(4):
        a, b = ring[i], ring[(i + 1) % 4]
        run = float(np.linalg.norm(b - a))
        _wall(out, a, b, 0.0, height, color, front if i in (0, 2) else blind, run)
    if look.pitched:
        _pitched_roof(out, rng, ring, height, depth, color, blind)
    else:
        _flat_roof(out, rng, ring, height)
    _front_details(out, rng, look, p0, along, inward, width, bay, bays, height, accent, color, values)
    return ring


def _wall(
    out: MeshBuilder,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    z0: float,
    z1: float,
    color: NDArray[np.float64],
    obj: int,
    run: float,
) -> None:
    corners = [[*a, z0], [*b, z0], [*b, z1], [*a, z1]]
    out.quads(corners, color, BUILDING, materials.FACADE, [[[0, z0], [run, z0], [run, z1], [0, z1]]], obj)


def _pitched_roof(
    out: MeshBuilder,
    rng: np.random.Generator,
    ring: NDArray[np.float64],
    height: float,
    depth: float,
    color: NDArray[np.float64],
    blind: int,
) -> None:
    rise = depth * 0.5 * float(rng.uniform(0.55, 0.85))
    slate = _SLATE[rng.integers(len(_SLATE))] * rng.uniform(0.8, 1.2)
    a, b, c, d = (np.array([*p, height]) for p in ring)
    top = np.array([0, 0, rise])
    left, right = (a + d) / 2 + top, (b + c) / 2 + top
    inward = (d - a) / depth
    over = inward * 0.35 + np.array([0, 0, 0.18])
    width = float(np.linalg.norm(b - a))
    slope = float(np.hypot(depth / 2, rise))
    uv: list[list[list[float]]] = [[[0, 0], [width, 0], [width, slope], [0, slope]]]
    out.quads([a - over, b - over, right, left], slate, BUILDING, materials.ROOF, uv)
    out.quads([c + inward * 0.3, d + inward * 0.3, left, right], slate, BUILDING, materials.ROOF, uv)
    out.quads([[d, a, left, left], [b, c, right, right]], color, BUILDING, materials.FACADE, None, blind)
    gutter = -inward * 0.33 + np.array([0, 0, -0.18])
    out.quads(
        [a + gutter, b + gutter, b + gutter + [0, 0, 0.12], a + gutter + [0, 0, 0.12]],
        [0.05, 0.05, 0.05],
        BUILDING,
    )
    for end in (left, right):
        if rng.random() < 0.6:
            toward = (right - left) / max(width, 0.1) * (1 if end is left else -1)
            base = end + toward * 0.5
            _chimney(out, rng, base, color)


def _chimney(
    out: MeshBuilder, rng: np.random.Generator, base: NDArray[np.float64], color: NDArray[np.float64]
) -> None:
    x, y, z = base
    tall = float(rng.uniform(0.9, 1.6))
    out.box(
        [x - 0.35, y - 0.35, z - 0.8], [x + 0.35, y + 0.35, z + tall], color * 0.8, BUILDING, materials.BRICK
    )
    for k in (-0.17, 0.17):
        out.tube([x + k, y, z + tall], [x + k, y, z + tall + 0.35], 0.1, 0.08, [0.3, 0.14, 0.08], BUILDING, 5)


def _flat_roof(out: MeshBuilder, rng: np.random.Generator, ring: NDArray[np.float64], height: float) -> None:
    roof = [[*p, height] for p in ring]
    out.quads([roof], [0.2, 0.2, 0.2], BUILDING)
    if rng.random() < 0.6:
        center = ring.mean(0)
        low = np.array([*(center - 1.3), height])
        out.box(low, low + [2.6, 2.6, float(rng.uniform(1.2, 2.4))], [0.3, 0.3, 0.3], BUILDING)


def _front_details(
    out: MeshBuilder,
    rng: np.random.Generator,
    look: Look,
    p0: NDArray[np.float64],
    along: NDArray[np.float64],
    inward: NDArray[np.float64],
    width: float,
    bay: float,
    bays: int,
    height: float,
    accent: NDArray[np.float64],
    color: NDArray[np.float64],
    values: list[float],
) -> None:
    """Things that stand out from the front and so move with parallax."""

    def at(x: float, out_by: float) -> NDArray[np.float64]:
        return np.asarray(p0 + along * x - inward * out_by)

    pipe = at(rng.uniform(0.1, 0.3), 0.08)
    out.tube([*pipe, 0.0], [*pipe, height - 0.2], 0.05, 0.05, [0.04, 0.04, 0.04], BUILDING, 5)
    if not look.shop and look.style != PANEL and rng.random() < 0.5 and bays >= 2 and look.storeys <= 3:
        k = int(rng.integers(0, bays))
        x0, x1 = k * bay + 0.2, (k + 1) * bay - 0.2
        tall = look.ground + (look.storey if rng.random() < 0.4 else 0.0) - 0.1
        obj = out.params(
            [
                *values[:2],
                look.storey,
                look.ground,
                x1 - x0,
                (x1 - x0) * 0.72,
                look.window[1],
                *values[7:8],
                0.0,
                *values[9:13],
                tall,
                x1 - x0,
                2.0,
            ]
        )
        ring = [at(x0, 0.0), at(x0 + 0.25, 0.75), at(x1 - 0.25, 0.75), at(x1, 0.0)]
        for a, b in zip(ring[:-1], ring[1:]):
            _wall(out, a, b, 0.0, tall, color * 1.1, obj, float(np.linalg.norm(b - a)))
        out.quads([[[*p, tall] for p in ring]], [0.12, 0.12, 0.13], BUILDING, materials.ROOF)
    if look.shop:
        fascia = look.ground - 0.85
        for z0, z1, far in (
            (fascia - 0.02, fascia + 0.02, 0.25),
            (look.ground - 0.12, look.ground + 0.05, 0.3),
        ):
            board = [at(0, far), at(width, far), at(width, 0), at(0, 0)]
            out.prism(board, z0, z1, accent * 0.8 + 0.03, BUILDING)
        if rng.random() < 0.4:
            a, b = at(0.3, 0.05), at(width - 0.3, 0.05)
            c, d = at(width - 0.3, 1.4), at(0.3, 1.4)
            out.quads(
                [[*d, fascia - 0.65], [*c, fascia - 0.65], [*b, fascia], [*a, fascia]],
                accent * 1.4 + 0.05,
                BUILDING,
            )
            out.quads(
                [[*d, fascia - 0.85], [*c, fascia - 0.85], [*c, fascia - 0.65], [*d, fascia - 0.65]],
                accent * 1.2 + 0.05,
                BUILDING,
            )
        if rng.random() < 0.55:
            x = float(rng.uniform(0.5, width - 0.5))
            a, b = at(x, 0.1), at(x, 0.95)
            obj = out.params([4.0, 0.0, float(rng.uniform(0, 9))])
            z = look.ground + 0.3
            out.quads(
                [[*a, z], [*b, z], [*b, z + 0.75], [*a, z + 0.75]],
                [0.5, 0.5, 0.5],
                SIGN,
                materials.SIGN,
                [[[-1, -1], [1, -1], [1, 1], [-1, 1]]],
                obj,
            )
    if look.storeys >= 3 and look.style in (PANEL, RENDER) and rng.random() < 0.6:
        for level in range(1, look.storeys):
            z = look.ground + (level - 1) * look.storey + 0.1
            for k in range(int(rng.integers(0, 2)), bays, 2):
                _balcony(out, at(k * bay + 0.25, 0.0), at((k + 1) * bay - 0.25, 0.0), inward, z)
    if look.style in (STONE, RENDER):
        cornice = [at(0, 0.22), at(width, 0.22), at(width, 0), at(0, 0)]
        out.prism(cornice, height - 0.32, height - 0.1, color * 1.05, BUILDING)


def _balcony(
    out: MeshBuilder, a: NDArray[np.float64], b: NDArray[np.float64], inward: NDArray[np.float64], z: float
) -> None:
    c, d = b - inward * 1.1, a - inward * 1.1
    out.prism([d, c, b, a], z - 0.15, z, [0.4, 0.4, 0.4], BUILDING)
    obj = out.params([0.0, 1.0])
    for p, q in ((d, c), (c, b), (a, d)):
        run = float(np.linalg.norm(q - p))
        uv: list[list[list[float]]] = [[[0, 0], [run, 0], [run, 1], [0, 1]]]
        corners = [[*p, z], [*q, z], [*q, z + 1.0], [*p, z + 1.0]]
        out.quads(corners, [0.08, 0.08, 0.08], BUILDING, materials.RAILING, uv, obj)
