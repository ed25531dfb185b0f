"""Street furniture: lamps, signs, traffic lights, bollards, fences, walls, bins and bus stops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.labels import BUILDING, FENCE, NONE, POLE, SIGN
from dcfm_ros.street.line import Line
from dcfm_ros.street.mesh import Finish, Mesh, MeshBuilder
from dcfm_ros.street.params import SignParams

_SQUARE = [[[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]]


def lamp_post(height: float, reach: float, color: float) -> Mesh:
    """A street lamp at the origin whose arm points to +y."""
    out = MeshBuilder()
    grey = np.array([1.0, 1.02, 1.0]) * color
    out.tube([0, 0, 0], [0, 0, 1.2], 0.11, 0.1, Finish(grey, POLE), sides=7)
    out.tube([0, 0, 1.2], [0, 0, height], 0.075, 0.05, Finish(grey, POLE), sides=6)
    out.tube([0, 0, height], [0, reach, height + 0.35], 0.045, 0.04, Finish(grey, POLE), sides=5)
    out.box([-0.11, reach - 0.1, height + 0.27], [0.11, reach + 0.6, height + 0.42], Finish(grey * 0.9, POLE))
    return out.build()


def sign_post(kind: int, seed: float, low: float = 2.1) -> Mesh:
    """A pole at the origin with a traffic sign that faces -x; `kind` as in SignParams."""
    out = MeshBuilder()
    out.tube([0, 0, 0], [0, 0, low + 0.75], 0.04, 0.04, Finish([0.3, 0.3, 0.3], POLE), sides=5)
    wide, tall = (0.42, 0.3) if kind == 2 else (0.34, 0.34)
    z = low + tall
    x = -0.05
    out.quads(
        [[x, wide, z - tall], [x, -wide, z - tall], [x, -wide, z + tall], [x, wide, z + tall]],
        Finish([0.5, 0.5, 0.5], SIGN, materials.SIGN, out.params(SignParams(float(kind), seed))),
        _SQUARE,
    )
    return out.build()


def traffic_light(state: int) -> Mesh:
    """A signal at the origin that faces -x; `state` 0 red, 1 amber, 2 green. Heads count as signs, as in CamVid."""
    out = MeshBuilder()
    out.tube([0, 0, 0], [0, 0, 2.5], 0.06, 0.055, Finish([0.12, 0.12, 0.12], POLE), sides=6)
    out.box([-0.16, -0.17, 2.35], [0.14, 0.17, 3.35], Finish([0.015, 0.015, 0.015], SIGN))
    out.quads(
        [[-0.1, 0.28, 2.25], [-0.1, -0.28, 2.25], [-0.1, -0.28, 3.45], [-0.1, 0.28, 3.45]],
        Finish([0.02, 0.02, 0.02], SIGN),
    )
    for k, lit in enumerate(([2.5, 0.12, 0.08], [2.2, 1.0, 0.1], [0.1, 2.0, 0.9])):
        z = 3.17 - 0.31 * k
        on = k == state
        out.disc(
            [-0.17, 0, z],
            [0, -0.11, 0],
            [0, 0, 0.11],
            Finish(lit if on else np.array(lit) * 0.03, SIGN, materials.LAMP if on else materials.PLAIN),
            sides=10,
        )
    return out.build()


def bollard(white: bool) -> Mesh:
    """A bollard at the origin."""
    out = MeshBuilder()
    color = [0.6, 0.6, 0.58] if white else [0.03, 0.03, 0.03]
    out.tube([0, 0, 0], [0, 0, 0.9], 0.07, 0.06, Finish(color, POLE), sides=6)
    out.ball([0, 0, 0.92], [0.075, 0.075, 0.06], Finish(color, POLE), rings=3, sides=6)
    return out.build()


def bin_box(color: NDArray[np.float64]) -> Mesh:
    """A wheeled bin or post box at the origin: unlabelled in CamVid."""
    out = MeshBuilder()
    out.box([-0.28, -0.3, 0.08], [0.28, 0.3, 1.0], Finish(color, NONE))
    out.box([-0.31, -0.34, 1.0], [0.31, 0.34, 1.1], Finish(color * 0.7, NONE))
    return out.build()


def bus_stop(seed: float) -> Mesh:
    """A glass shelter at the origin, open to +y, with an advert (sign) at one end."""
    out = MeshBuilder()
    for x in (-1.8, 0.0, 1.8):
        out.tube([x, -0.6, 0], [x, -0.6, 2.3], 0.04, 0.04, Finish([0.06, 0.06, 0.06], POLE), sides=5)
    out.box([-2.0, -0.75, 2.3], [2.0, 0.75, 2.42], Finish([0.1, 0.1, 0.11], BUILDING))
    out.quads(
        [[-1.8, -0.6, 0.3], [1.8, -0.6, 0.3], [1.8, -0.6, 2.1], [-1.8, -0.6, 2.1]],
        Finish([0.1, 0.12, 0.13], BUILDING, materials.GLASS),
    )
    obj = out.params(SignParams(4.0, seed))
    for x in (-1.85, -1.75):
        out.quads(
            [[x, 0.6, 0.3], [x, -0.55, 0.3], [x, -0.55, 2.1], [x, 0.6, 2.1]],
            Finish([0.5, 0.5, 0.5], SIGN, materials.SIGN, obj),
            _SQUARE,
        )
    return out.build()


def add_railing(
    out: MeshBuilder, line: Line, height: float, color: NDArray[np.float64], wire: bool, low: float = 0.0
) -> None:
    """Metal railings or a wire fence."""
    (a, b), run = line, line.length
    obj = out.params([height])
    corners = [[*a, low], [*b, low], [*b, low + height], [*a, low + height]]
    uv: list[list[list[float]]] = [[[0, 0], [run, 0], [run, height], [0, height]]]
    out.quads(corners, Finish(color, FENCE, materials.MESHWIRE if wire else materials.RAILING, obj), uv)
    for k in range(int(run / 2.5) + 1):
        x, y = a + (b - a) * min(k * 2.5 / run, 1.0)
        out.tube([x, y, low], [x, y, low + height + 0.06], 0.035, 0.035, Finish(color, FENCE), sides=4)


def add_planks(out: MeshBuilder, line: Line, height: float, color: NDArray[np.float64]) -> None:
    """A close-boarded wooden fence, one board in two standing forward."""
    count = max(1, int(line.length / 0.16))
    way = (line.b - line.a) / count
    start = line.a + np.arange(count)[:, None] * way
    step = np.where(np.arange(count) % 2 == 0, 0.0, 0.03)[:, None] * line.inward
    p, q = start + step, start + way + step
    zero, top = np.zeros((count, 1)), np.full((count, 1), height)
    corners = np.stack(
        [np.hstack([p, zero]), np.hstack([q, zero]), np.hstack([q, top]), np.hstack([p, top])], 1
    )
    tone = 0.8 + 0.4 * np.modf(np.arange(count) * 0.618)[0]
    out.quads(corners, Finish(tone[:, None] * color, FENCE, materials.BARK))


def add_wall(out: MeshBuilder, line: Line, height: float, color: NDArray[np.float64]) -> None:
    """A brick wall; CamVid counts walls as building."""
    obj = out.params([height])
    out.prism(line.strip(0.25), 0.0, height, Finish(color, BUILDING, materials.BRICK, obj))
