"""Houses, shops and offices: boxes with fronts, roofs and chimneys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.fronts import Front, add_details, add_facade
from dcfm_ros.street.labels import BUILDING
from dcfm_ros.street.line import Line
from dcfm_ros.street.looks import Look
from dcfm_ros.street.mesh import Finish, MeshBuilder
from dcfm_ros.street.params import FrontParams

_SLATE = np.array([[0.09, 0.09, 0.10], [0.16, 0.09, 0.07], [0.22, 0.12, 0.08], [0.12, 0.11, 0.10]])
_ACCENT = np.array(
    [[0.3, 0.02, 0.03], [0.02, 0.08, 0.25], [0.01, 0.13, 0.07], [0.03, 0.03, 0.035], [0.5, 0.1, 0.02], [0.45, 0.4, 0.3],
     [0.1, 0.25, 0.3], [0.2, 0.02, 0.16], [0.6, 0.58, 0.55], [0.55, 0.4, 0.03]]
)  # fmt: skip


def add_building(
    out: MeshBuilder, rng: np.random.Generator, look: Look, line: Line, depth: float
) -> NDArray[np.float64]:
    """Adds a building whose front is `line`. Returns its footprint 4×2."""
    width = line.length
    ring = np.stack(line.strip(depth))
    height = look.ground + look.storey * (look.storeys - 1) + float(rng.uniform(0.2, 0.7))
    accent = _ACCENT[rng.integers(len(_ACCENT))] * rng.uniform(0.7, 1.2)
    bays = max(1, round(width / look.bay))
    bay = width / bays
    seed = float(rng.uniform(1, 60))
    window = (min(look.window[0], bay * 0.82), look.window[1])
    red, green, blue = (float(level) for level in accent)
    params = FrontParams(
        seed, look.storey, look.ground, bay, *window, float(look.style), float(look.shop), red, green, blue, look.frame,
        height, width, float(look.sash),
    )  # fmt: skip
    front, blind = out.params(params), out.params(params._replace(shop=0.0, width=0.0, sash=0.0))
    color = look.color * rng.uniform(0.92, 1.08)
    for i in range(4):
        a, b = ring[i], ring[(i + 1) % 4]
        add_facade(out, a, b, height, color, front if i in (0, 2) else blind)
    if look.pitched:
        _pitched_roof(out, rng, ring, height, depth, color, blind)
    else:
        _flat_roof(out, rng, ring, height)
    add_details(out, rng, Front(look, line, height, bay, bays, accent, color, params))
    return ring


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
    out.quads([a - over, b - over, right, left], Finish(slate, BUILDING, materials.ROOF), uv)
    out.quads([c + inward * 0.3, d + inward * 0.3, left, right], Finish(slate, BUILDING, materials.ROOF), uv)
    out.quads(
        [[d, a, left, left], [b, c, right, right]], Finish(color, BUILDING, materials.FACADE, blind), None
    )
    gutter = -inward * 0.33 + np.array([0, 0, -0.18])
    out.quads(
        [a + gutter, b + gutter, b + gutter + [0, 0, 0.12], a + gutter + [0, 0, 0.12]],
        Finish([0.05, 0.05, 0.05], BUILDING),
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
        [x - 0.35, y - 0.35, z - 0.8],
        [x + 0.35, y + 0.35, z + tall],
        Finish(color * 0.8, BUILDING, materials.BRICK),
    )
    for k in (-0.17, 0.17):
        out.tube(
            [x + k, y, z + tall],
            [x + k, y, z + tall + 0.35],
            0.1,
            0.08,
            Finish([0.3, 0.14, 0.08], BUILDING),
            sides=5,
        )


def _flat_roof(out: MeshBuilder, rng: np.random.Generator, ring: NDArray[np.float64], height: float) -> None:
    roof = [[*p, height] for p in ring]
    out.quads([roof], Finish([0.2, 0.2, 0.2], BUILDING))
    if rng.random() < 0.6:
        center = ring.mean(0)
        low = np.array([*(center - 1.3), height])
        out.box(low, low + [2.6, 2.6, float(rng.uniform(1.2, 2.4))], Finish([0.3, 0.3, 0.3], BUILDING))
