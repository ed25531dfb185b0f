"""Trees in every season, hedges and shrubs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.labels import TREE
from dcfm_ros.street.line import Line
from dcfm_ros.street.mesh import Finish, Mesh, MeshBuilder
from dcfm_ros.street.textures import CARDS


def draw_tree(rng: np.random.Generator, season: float, foliage: tuple[float, float, float]) -> Mesh:
    """A tree of about 7 m standing at the origin; `season` is its share of leaves."""
    out = MeshBuilder()
    bark = np.array([0.13, 0.10, 0.075]) * rng.uniform(0.6, 1.5)
    fork = float(rng.uniform(1.9, 2.8))
    lean = rng.normal(0, 0.12, 2)
    base = np.array([lean[0] * 0.4, lean[1] * 0.4, fork])
    thick = float(rng.uniform(0.11, 0.2))
    out.tube([0, 0, -0.1], base, thick * 1.25, thick, Finish(bark, TREE, materials.BARK), sides=7)
    tips = _limbs(out, rng, base, thick, bark)
    crown = tips.mean(0)
    spread = float(rng.uniform(0.85, 1.1))
    if season > 0.05:
        count = int(15 + 55 * season)
        picks = tips[rng.integers(len(tips), size=count)]
        spots = picks + rng.normal(0, 0.55, (count, 3)) * [spread, spread, 0.8]
        shade = np.array(foliage) * rng.uniform(0.8, 1.25)
        _cards(out, rng, spots, crown, 0.95 + 0.35 * season, shade, 0, materials.LEAVES)
    if season < 0.6:
        count = int(45 * (1 - season))
        spots = tips[rng.integers(len(tips), size=count)] + rng.normal(0, 0.35, (count, 3))
        _cards(out, rng, spots, crown, 1.3, bark * 0.9, CARDS, materials.BRANCHES)
    return out.build()


def _limbs(
    out: MeshBuilder,
    rng: np.random.Generator,
    base: NDArray[np.float64],
    thick: float,
    bark: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Grows two generations of branches; returns points along them, N×3."""
    points = []
    for k in range(6):
        angle = k * 2.4 + rng.uniform(-0.4, 0.4)
        up = rng.uniform(0.7, 1.6)
        way = np.array([np.cos(angle), np.sin(angle), up])
        way /= np.linalg.norm(way)
        end = base + way * rng.uniform(1.5, 2.6)
        out.tube(base, end, thick * 0.6, thick * 0.3, Finish(bark, TREE, materials.BARK), sides=5)
        points += [base + (end - base) * 0.6, end]
        for _ in range(3):
            twist = way + rng.normal(0, 0.55, 3) + [0, 0, 0.25]
            tip = end + twist / np.linalg.norm(twist) * rng.uniform(0.9, 1.8)
            out.tube(end, tip, thick * 0.28, thick * 0.08, Finish(bark, TREE, materials.BARK), sides=4)
            points += [(end + tip) / 2, tip]
    return np.asarray(points)


def _cards(
    out: MeshBuilder,
    rng: np.random.Generator,
    spots: NDArray[np.float64],
    crown: NDArray[np.float64],
    size: float,
    color: NDArray[np.float64],
    first: int,
    mat: int,
) -> None:
    """Square cards of leaves or twigs at `spots`, turned at random, lit as parts of a round crown."""
    count = len(spots)
    right = rng.normal(0, 1, (count, 3)) * [1, 1, 0.5]
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(right, rng.normal(0, 1, (count, 3)))
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    half = size * rng.uniform(0.55, 0.95, (count, 1))
    corners = np.stack(
        [
            spots - right * half - up * half,
            spots + right * half - up * half,
            spots + right * half + up * half,
            spots - right * half + up * half,
        ],
        1,
    )
    card = first + rng.integers(0, CARDS, count)
    low, high = card + 1e-4, card + 1 - 1e-4
    uv = np.stack(
        [
            np.stack([low, np.zeros(count)], 1),
            np.stack([high, np.zeros(count)], 1),
            np.stack([high, np.ones(count)], 1),
            np.stack([low, np.ones(count)], 1),
        ],
        1,
    )
    outward = spots - crown + [0, 0, 0.6]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    depth = np.clip(np.linalg.norm((spots - crown) / [1.9, 1.9, 1.6], axis=1), 0.0, 1.0)
    tone = (0.45 + 0.55 * depth) * rng.uniform(0.85, 1.15, count)
    out.quads(corners, Finish(tone[:, None] * color, TREE, mat, 0), uv, normal=outward)


def add_hedge(out: MeshBuilder, line: Line, height: float, color: NDArray[np.float64]) -> None:
    """A clipped hedge."""
    out.prism(line.strip(0.7), 0.0, height, Finish(color, TREE, materials.HEDGE))


def draw_bush(rng: np.random.Generator, foliage: tuple[float, float, float]) -> Mesh:
    """A round shrub of about 1.2 m at the origin."""
    out = MeshBuilder()
    spots = rng.normal(0, 0.3, (12, 3)) + [0, 0, 0.6]
    _cards(
        out,
        rng,
        spots,
        np.array([0, 0, 0.4]),
        0.65,
        np.array(foliage) * rng.uniform(0.7, 1.2),
        0,
        materials.LEAVES,
    )
    return out.build()
