"""What stands out from a house front and so moves with parallax: bay windows, shop fronts, balconies, cornices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.labels import BUILDING, SIGN
from dcfm_ros.street.line import Line
from dcfm_ros.street.looks import PANEL, RENDER, STONE, Look
from dcfm_ros.street.mesh import Finish, MeshBuilder
from dcfm_ros.street.params import FrontParams, SignParams

_SQUARE = [[[-1, -1], [1, -1], [1, 1], [-1, 1]]]


@dataclass(frozen=True)
class Front:
    """A front along `line` with `bays` bays, each `bay` wide; lengths in metres."""

    look: Look
    line: Line
    height: float
    bay: float
    bays: int
    accent: NDArray[np.float64]
    color: NDArray[np.float64]
    params: FrontParams

    def at(self, x: float, out_by: float) -> NDArray[np.float64]:
        """The point (x, y) that lies `x` along the front and `out_by` before it."""
        return np.asarray(self.line.a + self.line.along * x - self.line.inward * out_by)


def add_facade(
    out: MeshBuilder,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    height: float,
    color: NDArray[np.float64],
    obj: int,
) -> None:
    """A wall with windows from `a` to `b` (x, y); `obj`: its FrontParams."""
    run = float(np.linalg.norm(b - a))
    corners = [[*a, 0.0], [*b, 0.0], [*b, height], [*a, height]]
    uv = [[[0, 0.0], [run, 0.0], [run, height], [0, height]]]
    out.quads(corners, Finish(color, BUILDING, materials.FACADE, obj), uv)


def add_details(out: MeshBuilder, rng: np.random.Generator, front: Front) -> None:
    """A drainpipe, and what the front's look and the numbers drawn say."""
    look = front.look
    pipe = front.at(rng.uniform(0.1, 0.3), 0.08)
    out.tube(
        [*pipe, 0.0], [*pipe, front.height - 0.2], 0.05, 0.05, Finish([0.04, 0.04, 0.04], BUILDING), sides=5
    )
    plain = not look.shop and look.style != PANEL
    if plain and rng.random() < 0.5 and front.bays >= 2 and look.storeys <= 3:
        _bay_window(out, rng, front)
    if look.shop:
        _shop_front(out, rng, front)
    if look.storeys >= 3 and look.style in (PANEL, RENDER) and rng.random() < 0.6:
        _balconies(out, rng, front)
    if look.style in (STONE, RENDER):
        _board(out, front, front.height - 0.32, front.height - 0.1, 0.22, front.color * 1.05)


def _bay_window(out: MeshBuilder, rng: np.random.Generator, front: Front) -> None:
    look = front.look
    k = int(rng.integers(0, front.bays))
    x0, x1 = k * front.bay + 0.2, (k + 1) * front.bay - 0.2
    tall = look.ground + (look.storey if rng.random() < 0.4 else 0.0) - 0.1
    wide = x1 - x0
    windows = front.params._replace(
        bay=wide,
        window_width=wide * 0.72,
        window_height=look.window[1],
        shop=0.0,
        height=tall,
        width=wide,
        sash=2.0,
    )
    obj = out.params(windows)
    ring = [front.at(x0, 0.0), front.at(x0 + 0.25, 0.75), front.at(x1 - 0.25, 0.75), front.at(x1, 0.0)]
    for a, b in zip(ring[:-1], ring[1:]):
        add_facade(out, a, b, tall, front.color * 1.1, obj)
    out.quads([[[*p, tall] for p in ring]], Finish([0.12, 0.12, 0.13], BUILDING, materials.ROOF))


def _shop_front(out: MeshBuilder, rng: np.random.Generator, front: Front) -> None:
    """Fascia, and now and then an awning and a hanging sign."""
    ground, width, accent = front.look.ground, front.line.length, front.accent
    fascia = ground - 0.85
    _board(out, front, fascia - 0.02, fascia + 0.02, 0.25, accent * 0.8 + 0.03)
    _board(out, front, ground - 0.12, ground + 0.05, 0.3, accent * 0.8 + 0.03)
    if rng.random() < 0.4:
        a, b = front.at(0.3, 0.05), front.at(width - 0.3, 0.05)
        c, d = front.at(width - 0.3, 1.4), front.at(0.3, 1.4)
        cloth = [[*d, fascia - 0.65], [*c, fascia - 0.65], [*b, fascia], [*a, fascia]]
        out.quads(cloth, Finish(accent * 1.4 + 0.05, BUILDING))
        hem = [[*d, fascia - 0.85], [*c, fascia - 0.85], [*c, fascia - 0.65], [*d, fascia - 0.65]]
        out.quads(hem, Finish(accent * 1.2 + 0.05, BUILDING))
    if rng.random() < 0.55:
        x = float(rng.uniform(0.5, width - 0.5))
        a, b = front.at(x, 0.1), front.at(x, 0.95)
        obj = out.params(SignParams(4.0, float(rng.uniform(0, 9))))
        z = ground + 0.3
        corners = [[*a, z], [*b, z], [*b, z + 0.75], [*a, z + 0.75]]
        out.quads(corners, Finish([0.5, 0.5, 0.5], SIGN, materials.SIGN, obj), _SQUARE)


def _board(out: MeshBuilder, front: Front, z0: float, z1: float, far: float, color: ArrayLike) -> None:
    """A board along the whole front that stands out by `far`."""
    ring = [
        front.at(0, far),
        front.at(front.line.length, far),
        front.at(front.line.length, 0),
        front.at(0, 0),
    ]
    out.prism(ring, z0, z1, Finish(color, BUILDING))


def _balconies(out: MeshBuilder, rng: np.random.Generator, front: Front) -> None:
    for level in range(1, front.look.storeys):
        z = front.look.ground + (level - 1) * front.look.storey + 0.1
        for k in range(int(rng.integers(0, 2)), front.bays, 2):
            a, b = front.at(k * front.bay + 0.25, 0.0), front.at((k + 1) * front.bay - 0.25, 0.0)
            _balcony(out, a, b, front.line.inward, z)


def _balcony(
    out: MeshBuilder, a: NDArray[np.float64], b: NDArray[np.float64], inward: NDArray[np.float64], z: float
) -> None:
    c, d = b - inward * 1.1, a - inward * 1.1
    out.prism([d, c, b, a], z - 0.15, z, Finish([0.4, 0.4, 0.4], BUILDING))
    obj = out.params([1.0])
    for p, q in ((d, c), (c, b), (a, d)):
        run = float(np.linalg.norm(q - p))
        uv: list[list[list[float]]] = [[[0, 0], [run, 0], [run, 1], [0, 1]]]
        corners = [[*p, z], [*q, z], [*q, z + 1.0], [*p, z + 1.0]]
        out.quads(corners, Finish([0.08, 0.08, 0.08], BUILDING, materials.RAILING, obj), uv)
