"""The ground of a block: road, kerbs, pavements, lawns, and the roads that leave it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.labels import PAVEMENT, ROAD, TREE
from dcfm_ros.street.mesh import Finish
from dcfm_ros.street.params import RoadParams
from dcfm_ros.street.site import BLOCK, KERB, Site

_KERB_WIDTH = 0.14
_KERB_STONE = (0.34, 0.33, 0.31)


def lay_ground(site: Site) -> None:
    """Road and, on either side, kerb, pavement and lawn."""
    street, style, rng = site.street, site.style, site.rng
    zebra = float(rng.uniform(8, 14)) if rng.random() < 0.18 else 0.0
    arrow = float(rng.uniform(36, 50)) if rng.random() < 0.25 else 0.0
    v0 = (site.number % 8) * BLOCK
    centre = float(rng.choice([1.0, 2.0, 2.0, 3.0]))
    edges = float(rng.choice([0.0, 1.0, 2.0, 2.0]))
    params = RoadParams(
        seed=float(site.number % 97),
        left=street.left,
        right=-street.right,
        lane=street.lane,
        centre=centre,
        edges=edges,
        park_left=street.park_left,
        park_right=street.park_right,
        zebra=v0 + zebra if zebra else 0.0,
        arrow=v0 + arrow if arrow else 0.0,
    )
    s = np.arange(0.0, BLOCK + 1, 2.0)
    flat, obj = (0.0, 0.0), site.out.params(params)
    _strip(site, s, (-street.right, street.left), flat, style.asphalt, ROAD, materials.ROAD, obj)
    walk = site.out.params([float(rng.uniform(1, 50))])
    for side in (1, -1):
        kerb = site.kerb(side)
        back = kerb + street.walk
        gap = site.gaps[side]
        for a, b in [(0.0, BLOCK)] if gap is None else [(0.0, gap[0]), (gap[1], BLOCK)]:
            cut = np.unique(np.clip(np.concatenate([np.arange(np.ceil(a / 2) * 2, b, 2.0), [a, b]]), a, b))
            stone = (side * kerb, side * (kerb + _KERB_WIDTH))
            _strip(site, cut, stone, (0.0, KERB), _KERB_STONE, PAVEMENT, materials.PLAIN)
            slabs = (side * (kerb + _KERB_WIDTH), side * back)
            _strip(site, cut, slabs, (KERB, KERB), style.pavement, PAVEMENT, materials.PAVEMENT, walk)
        lawn = np.array(style.foliage) * [1.0, 0.95, 0.9]
        far = (side * back, side * (back + 60.0))
        _strip(site, np.arange(0, BLOCK + 1, 4.0), far, (KERB - 0.03, 0.0), lawn, TREE, materials.GRASS)


def _strip(
    site: Site,
    s: NDArray[np.float64],
    d: tuple[float, float],
    z: tuple[float, float],
    color: ArrayLike,
    label: int,
    mat: int,
    obj: int = 0,
) -> None:
    """A band of ground between two distances `d` from the centre line, at heights `z`; `s`: where it is cut."""
    v = (site.number % 8) * BLOCK + s
    near, far = (
        np.column_stack([site.street.place(site.s0 + s, at) - site.origin, np.full(len(s), height)])
        for at, height in zip(d, z)
    )
    corners = ((d[0], v[:-1]), (d[0], v[1:]), (d[1], v[1:]), (d[1], v[:-1]))
    uv = np.stack([np.stack(np.broadcast_arrays(*corner), 1) for corner in corners], 1)
    quads = np.stack([near[:-1], near[1:], far[1:], far[:-1]], 1)
    site.out.quads(quads, Finish(np.asarray(color), label, mat, obj), uv, normal=[0, 0, 1])


def lay_side_road(site: Site, side: int, a: float, b: float, reach: float) -> None:
    """A road between `a` and `b` that leaves at a right angle, with its pavements, as far as `reach`."""
    obj = site.out.params(RoadParams(5.0, 99.0, -99.0, 3.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    for s0, s1, z, color, label, mat, number in (
        (a, b, 0.004, site.style.asphalt, ROAD, materials.ROAD, obj),
        (a - 1.9, a, KERB + 0.004, site.style.pavement, PAVEMENT, materials.PAVEMENT, 0),
        (b, b + 1.9, KERB + 0.004, site.style.pavement, PAVEMENT, materials.PAVEMENT, 0),
    ):
        start = site.kerb(side) if label == ROAD else site.kerb(side) + site.street.walk
        d = np.array([start, *np.arange(np.ceil(start / 4) * 4 + 4, reach, 4.0), reach])
        p, q = (
            np.column_stack([np.stack([site.at(s, side * x) for x in d]), np.full(len(d), z)])
            for s in (s0, s1)
        )
        if label == ROAD:  # it rises to the pavements' height
            p[1:, 2] += KERB - 0.02
            q[1:, 2] += KERB - 0.02
        u = np.broadcast_to(np.array([s0, s0, s1, s1]) - (a + b) / 2, (len(d) - 1, 4))
        v = np.stack([d[:-1], d[1:], d[1:], d[:-1]], 1)
        quads, uv = np.stack([p[:-1], p[1:], q[1:], q[:-1]], 1), np.stack([u, v], -1)
        site.out.quads(quads, Finish(np.asarray(color), label, mat, number), uv, normal=[0, 0, 1])
