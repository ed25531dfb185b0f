"""Vehicles: lofted bodies with glass, wheels, lights and plates. Front to +x, origin on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.labels import CAR
from dcfm_ros.street.mesh import Finish, Mesh, MeshBuilder, yaw_matrix

COLORS = np.array(
    [[0.02, 0.02, 0.022], [0.4, 0.41, 0.42], [0.55, 0.56, 0.57], [0.7, 0.7, 0.7], [0.15, 0.16, 0.17], [0.02, 0.05, 0.22], [0.35, 0.015, 0.02],
     [0.02, 0.1, 0.06], [0.1, 0.2, 0.4], [0.3, 0.27, 0.2], [0.06, 0.07, 0.09], [0.5, 0.3, 0.03]]
)  # fmt: skip
_GLASS = [0.02, 0.025, 0.028]
_RUBBER = [0.015, 0.015, 0.016]


@dataclass(frozen=True)
class Shape:
    """Side view, metres: `length`, `width`; `deck` (x, z) of the body's top edge from tail to nose; `cabin` x of rear
    window foot, roof rear, roof front, windscreen foot; `roof` height; `axles` x; `wheel` radius; `windows` sideways."""

    length: float
    width: float
    deck: tuple[tuple[float, float], ...]
    cabin: tuple[float, float, float, float]
    roof: float
    axles: tuple[float, float]
    wheel: float
    windows: bool = True
    floor: float = 0.22


SHAPES: dict[str, Shape] = {
    "hatch": Shape(3.9, 1.7, ((-1.95, 0.72), (-1.88, 0.98), (0.75, 0.95), (1.5, 0.86), (1.9, 0.68)), (-1.85, -1.45, 0.25, 1.0), 1.45, (-1.2, 1.25), 0.3),
    "saloon": Shape(4.5, 1.78, ((-2.25, 0.72), (-2.2, 0.98), (-1.5, 1.0), (0.85, 0.95), (1.85, 0.85), (2.22, 0.66)), (-1.65, -0.95, 0.2, 1.0), 1.43, (-1.35, 1.4), 0.31),
    "estate": Shape(4.6, 1.78, ((-2.3, 0.72), (-2.24, 1.0), (0.85, 0.96), (1.85, 0.86), (2.26, 0.66)), (-2.22, -1.9, 0.2, 1.0), 1.5, (-1.35, 1.45), 0.31),
    "suv": Shape(4.5, 1.86, ((-2.25, 0.85), (-2.2, 1.12), (0.9, 1.1), (1.8, 1.04), (2.2, 0.8)), (-2.18, -1.9, 0.3, 1.0), 1.75, (-1.35, 1.4), 0.37),
    "van": Shape(5.1, 1.95, ((-2.55, 1.0), (-2.53, 1.2), (1.5, 1.15), (2.2, 1.02), (2.5, 0.78)), (-2.54, -2.5, 1.0, 1.75), 2.25, (-1.6, 1.65), 0.34, False),
    "bus": Shape(10.0, 2.5, ((-5.0, 0.9), (-4.98, 1.15), (4.95, 1.15), (5.0, 0.9)), (-4.97, -4.9, 4.75, 4.95), 3.05, (-2.8, 3.1), 0.48, True, 0.3),
}  # fmt: skip


@lru_cache(maxsize=256)
def vehicle(kind: str, color: int, seed: int) -> Mesh:
    """The mesh of a vehicle: `kind` a key of `SHAPES`, `color` a row of `COLORS`, `seed` for plate and rims."""
    shape = SHAPES[kind]
    out = MeshBuilder()
    paint = np.array([0.45, 0.02, 0.02]) if kind == "bus" else COLORS[color % len(COLORS)]
    if kind == "van" and seed % 3:
        paint = np.array([0.7, 0.7, 0.69])
    _body(out, shape, paint)
    _cabin(out, shape, paint)
    _wheels(out, shape, seed)
    _ends(out, shape, seed)
    return out.build()


def footprint(kind: str, spot: NDArray[np.float64], heading: float) -> NDArray[np.float64]:
    """Ground polygon 4×2 under a vehicle."""
    shape = SHAPES[kind]
    x, y = shape.length / 2 * 0.97, shape.width / 2 * 0.95
    corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    return np.asarray(corners @ yaw_matrix(heading)[:2, :2].T + spot)


def _taper(shape: Shape, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width of the body at x: drawn in towards nose and tail."""
    share = np.abs(x) / (shape.length / 2)
    return np.asarray(shape.width / 2 * (1.0 - 0.13 * np.clip((share - 0.72) / 0.28, 0, 1) ** 2))


def _body(out: MeshBuilder, shape: Shape, paint: NDArray[np.float64]) -> None:
    x = np.array([p[0] for p in shape.deck])
    top = np.array([p[1] for p in shape.deck])
    fine = np.unique(np.concatenate([np.linspace(x[0], x[-1], 12), x]))
    top = np.interp(fine, x, top)
    half = _taper(shape, fine)
    waist = shape.floor + 0.45 * (top - shape.floor)
    levels = [
        (np.full_like(fine, shape.floor), half * 0.93, 0.28), (np.full_like(fine, shape.floor + 0.12), half * 0.985, 0.9),
        (waist, half, 1.0), (top - 0.06, half * 0.965, 1.0), (top, half * 0.9, 1.0),
    ]  # fmt: skip
    for (z0, w0, tone), (z1, w1, _) in zip(levels[:-1], levels[1:]):
        for side in (-1, 1):
            low = np.stack([fine, side * w0, z0], 1)
            high = np.stack([fine, side * w1, z1], 1)
            quads = np.stack([low[:-1], low[1:], high[1:], high[:-1]], 1)
            out.quads(
                quads if side < 0 else quads[:, ::-1],
                Finish(
                    paint * tone if tone > 0.5 else np.array(_RUBBER),
                    CAR,
                    materials.PAINT if tone > 0.5 else materials.PLAIN,
                ),
            )
    deck_left = np.stack([fine, half * 0.9, top], 1)
    deck_right = np.stack([fine, -half * 0.9, top], 1)
    out.quads(
        np.stack([deck_right[:-1], deck_right[1:], deck_left[1:], deck_left[:-1]], 1),
        Finish(paint, CAR, materials.PAINT),
    )
    for k, way in ((0, -1), (-1, 1)):
        for (z0, w0, tone), (z1, w1, _) in zip(levels[:-1], levels[1:]):
            e = fine[k]
            quad = [
                [e, -w0[k] * way, z0[k]],
                [e, w0[k] * way, z0[k]],
                [e, w1[k] * way, z1[k]],
                [e, -w1[k] * way, z1[k]],
            ]
            out.quads(
                quad[::-1] if way < 0 else quad,
                Finish(
                    paint * tone if tone > 0.5 else np.array(_RUBBER),
                    CAR,
                    materials.PAINT if tone > 0.5 else materials.PLAIN,
                ),
            )
    reach, inner = shape.length / 2 - 0.1, shape.width / 2 - 0.12
    out.quads(
        [[-reach, -inner, 0.2], [reach, -inner, 0.2], [reach, inner, 0.2], [-reach, inner, 0.2]],
        Finish(_RUBBER, CAR),
    )
    out.box([-reach, -inner, 0.2], [reach, inner, shape.floor + 0.1], Finish(_RUBBER, CAR))


def _cabin(out: MeshBuilder, shape: Shape, paint: NDArray[np.float64]) -> None:
    foot_rear, roof_rear, roof_front, foot_front = shape.cabin
    xs = [p[0] for p in shape.deck]
    zs = [p[1] for p in shape.deck]
    base_rear, base_front = np.interp(foot_rear, xs, zs) - 0.02, np.interp(foot_front, xs, zs) - 0.02
    wide = shape.width / 2 * 0.9
    narrow = wide * (0.97 if shape.length > 5 else 0.8)
    z = shape.roof
    a, b = np.array([foot_rear, wide, base_rear]), np.array([foot_front, wide, base_front])
    c, d = np.array([roof_front, narrow, z]), np.array([roof_rear, narrow, z])
    flip = np.array([1, -1, 1])
    for side in (1, -1):
        quad = np.stack([b, a, d, c]) if side > 0 else np.stack([a, b, c, d]) * flip
        out.quads(quad, Finish(paint, CAR, materials.PAINT))
        if shape.windows:
            _side_windows(out, a, b, c, d, side, 5 if shape.length > 8 else 2)
        else:
            _side_windows(out, a + (b - a) * 0.72, b, c, d + (c - d) * 0.72, side, 1)
    rise = np.array([0, 0, 0.05])
    inner = np.array([0, -0.22, 0])
    out.quads([[d * flip, c * flip, c * flip - inner + rise, d * flip - inner + rise], [d + inner + rise, c + inner + rise, c, d],
               [d * flip - inner + rise, c * flip - inner + rise, c + inner + rise, d + inner + rise]], Finish(paint, CAR, materials.PAINT))  # fmt: skip
    glass = np.array(_GLASS)
    for low, high, way in ((b, c, 1), (a, d, -1)):
        frame = (
            np.stack([low * flip, low, high, high * flip])
            if way > 0
            else np.stack([low, low * flip, high * flip, high])
        )
        out.quads(frame, Finish(paint, CAR, materials.PAINT))
        if way < 0 and not shape.windows:
            continue
        mid = frame.mean(0)
        normal = np.cross(frame[1] - frame[0], frame[3] - frame[0])
        pane = mid + (frame - mid) * [1, 0.9, 0.84] + normal / np.linalg.norm(normal) * 0.012
        out.quads(pane, Finish(glass, CAR, materials.GLASS))


def _side_windows(
    out: MeshBuilder,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
    side: int,
    panes: int,
) -> None:
    flip = np.array([1, side, 1])
    for k in range(panes):
        f0, f1 = (k + 0.06) / panes, (k + 0.94) / panes
        low0, low1 = a + (b - a) * f0, a + (b - a) * f1
        high0, high1 = d + (c - d) * f0, d + (c - d) * f1
        out_by = np.array([0, 0.012, 0.0])
        quad = (
            np.stack(
                [
                    low0 + (high0 - low0) * 0.08,
                    low1 + (high1 - low1) * 0.08,
                    low1 + (high1 - low1) * 0.86,
                    low0 + (high0 - low0) * 0.86,
                ]
            )
            + out_by
        )
        quad = quad * flip
        out.quads(quad[::-1] if side > 0 else quad, Finish(_GLASS, CAR, materials.GLASS))


def _wheels(out: MeshBuilder, shape: Shape, seed: int) -> None:
    for n, x in enumerate(shape.axles):
        for side in (-1, 1):
            y = side * (float(_taper(shape, np.array([x]))[0]) + 0.004)
            r = shape.wheel
            out.disc([x, y, r + 0.03], [r * 1.17, 0, 0], [0, 0, r * 1.17], Finish([0.008, 0.008, 0.008], CAR))
            obj = out.params([float((seed * 7 + n * 3 + side) % 10) / 10])
            out.disc(
                [x, y + side * 0.012, r],
                [r, 0, 0],
                [0, 0, r],
                Finish([0.1, 0.1, 0.1], CAR, materials.WHEEL, obj),
            )
            out.tube([x, y - side * 0.2, r], [x, y + side * 0.01, r], r, r, Finish(_RUBBER, CAR), sides=12)


def _ends(out: MeshBuilder, shape: Shape, seed: int) -> None:
    nose, tail = shape.length / 2 * 0.995 + 0.005, -shape.length / 2 - 0.012
    half = float(_taper(shape, np.array([shape.length / 2]))[0])
    z = shape.deck[-1][1] - 0.1

    def plate(
        x: float,
        y0: float,
        y1: float,
        z0: float,
        z1: float,
        color: list[float],
        mat: int = materials.PLAIN,
        obj: int = 0,
    ) -> None:
        quad = [[x, y0, z0], [x, y1, z0], [x, y1, z1], [x, y0, z1]]
        out.quads(quad if x > 0 else quad[::-1], Finish(color, CAR, mat, obj), None)

    plate(nose + 0.01, -half * 0.5, half * 0.5, z - 0.12, z + 0.02, [0.02, 0.02, 0.02])
    plate(nose + 0.01, -half * 0.8, half * 0.8, shape.floor + 0.06, shape.floor + 0.16, [0.02, 0.02, 0.02])
    for side in (-1, 1):
        inner, outer = side * half * 0.6, side * half * 0.95
        plate(nose + 0.012, inner, outer, z - 0.1, z + 0.05, [0.75, 0.77, 0.8], materials.GLASS)
        rear = shape.deck[1][1] - 0.12
        inner, outer = side * half * 0.72, side * half * 0.97
        plate(tail, inner, outer, rear - 0.22, rear + 0.02, [0.4, 0.01, 0.01], materials.GLASS)
    text = out.params([float(seed % 31) + 1.0])
    plate(nose + 0.016, -0.26, 0.26, z - 0.24, z - 0.13, [0.7, 0.7, 0.7], materials.TEXT, text)
    z = shape.deck[0][1]
    plate(tail - 0.004, 0.26, -0.26, z - 0.16, z - 0.05, [0.65, 0.5, 0.05], materials.TEXT, text)
    plate(tail - 0.002, -half * 0.85, half * 0.85, shape.floor + 0.02, shape.floor + 0.12, [0.02, 0.02, 0.02])
    for side in (-1, 1):
        x = shape.cabin[3] - 0.15
        y, z = side * (shape.width / 2 + 0.07), shape.deck[2][1]
        out.box(
            [x - 0.06, y - 0.09, z + 0.02], [x + 0.06, y + 0.09, z + 0.17], Finish([0.03, 0.03, 0.03], CAR)
        )
