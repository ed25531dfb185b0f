"""Triangle soups: what every object of the street is made of, and the tools to build them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcfm_ros.street import materials

Floats = NDArray[np.float32]
PARAMS = 16
"""Floats that a material may read per object, for example the window grid of a facade."""


class Finish(NamedTuple):
    """What polygons show: linear albedo (3, or a row for each quad), label, material, and the row of its parameters."""

    color: ArrayLike
    label: int
    mat: int = materials.PLAIN
    obj: int = 0


@dataclass(frozen=True)
class Mesh:
    """T triangles.

    `pos` float32 T×3×3 metres; `uv` float32 T×3×2 material coordinates; `normal` float32 T×3 unit;
    `color` float32 T×3 linear albedo; `mat`, `obj` int32 T; `label` uint8 T; `params` float32 P×16, rows named by `obj`.
    """

    pos: Floats
    uv: Floats
    normal: Floats
    color: Floats
    mat: NDArray[np.int32]
    label: NDArray[np.uint8]
    obj: NDArray[np.int32]
    params: Floats

    def shifted(self, offset: ArrayLike) -> Mesh:
        """The same mesh shifted by `offset` (3)."""
        return replace(self, pos=self.pos + np.asarray(offset, np.float32))

    def moved(self, rotation: NDArray[np.float64], offset: ArrayLike, scale: float = 1.0) -> Mesh:
        """The same mesh scaled, rotated (3×3) and then shifted (3)."""
        turn = rotation.T.astype(np.float32)
        pos = self.pos @ (turn * np.float32(scale)) + np.asarray(offset, np.float32)
        return Mesh(pos, self.uv, self.normal @ turn, self.color, self.mat, self.label, self.obj, self.params)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of many; object numbers are shifted to their rows in the joined parameter table."""
    starts = np.cumsum([0] + [len(m.params) for m in meshes[:-1]])
    shifted = [replace(m, obj=m.obj + np.int32(start)) for m, start in zip(meshes, starts)]
    return _concatenated(shifted, np.concatenate([m.params for m in meshes]))


def _concatenated(meshes: Sequence[Mesh], params: Floats) -> Mesh:
    """The triangles of all meshes, whose object numbers are rows of `params`."""
    columns = [item.name for item in fields(Mesh) if item.name != "params"]
    joined = {name: np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in columns}
    return Mesh(**joined, params=params)


def yaw_matrix(yaw: float) -> NDArray[np.float64]:
    """Rotation about the vertical by `yaw` radians, counter-clockwise seen from above."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


_COLUMNS = {
    "pos": ((3, 3), np.float32),
    "uv": ((3, 2), np.float32),
    "normal": ((3,), np.float32),
    "color": ((3,), np.float32),
    "mat": ((), np.int32),
    "label": ((), np.uint8),
    "obj": ((), np.int32),
}
"""Shape and type of what a mesh has for each triangle."""


def _triangles(count: int, *values: ArrayLike) -> Mesh:
    """A mesh of `count` triangles without parameters; values: its columns, or what all triangles have there."""
    pairs = zip(values, _COLUMNS.items(), strict=True)
    columns = {
        name: np.broadcast_to(np.asarray(value), (count, *shape)).astype(kind)
        for value, (name, (shape, kind)) in pairs
    }
    return Mesh(**columns, params=np.zeros((0, PARAMS), np.float32))


@dataclass
class MeshBuilder:
    """Collects polygons; `build()` gives the `Mesh`. Normals follow the right-hand rule unless given."""

    _parts: list[Mesh] = field(default_factory=lambda: [_triangles(0, *[0] * len(_COLUMNS))])
    _params: list[Floats] = field(default_factory=lambda: [np.zeros(PARAMS, np.float32)])

    def params(self, values: Sequence[float]) -> int:
        """Adds one row of material parameters and returns its number, to be given as `obj`."""
        row = np.zeros(PARAMS, np.float32)
        row[: len(values)] = values
        self._params.append(row)
        return len(self._params) - 1

    def quads(
        self, corners: ArrayLike, finish: Finish, uv: ArrayLike | None = None, normal: ArrayLike | None = None
    ) -> None:
        """Adds N quads: `corners` N×4×3 (or 4×3), counter-clockwise seen from outside; `uv` N×4×2 (default: unit square)."""
        quad = np.asarray(corners, np.float32).reshape(-1, 4, 3)
        count = len(quad)
        if uv is None:
            tex = np.broadcast_to(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32), (count, 4, 2))
        else:
            tex = np.broadcast_to(np.asarray(uv, np.float32), (count, 4, 2))
        split = [[0, 1, 2], [0, 2, 3]]
        pos = quad[:, split].reshape(-1, 3, 3)
        if normal is None:
            diagonal = np.cross(quad[:, 2] - quad[:, 0], quad[:, 3] - quad[:, 1])
            facing = diagonal / np.maximum(np.linalg.norm(diagonal, axis=1, keepdims=True), 1e-9)
        else:
            facing = np.broadcast_to(np.asarray(normal, np.float32), (count, 3))
        self._add(pos, tex[:, split].reshape(-1, 3, 2), np.repeat(facing, 2, 0), finish)

    def _add(self, pos: Floats, uv: Floats, normal: Floats, finish: Finish) -> None:
        count = len(pos)
        tint = np.asarray(finish.color, np.float32)
        if tint.ndim == 2 and len(tint) * 2 == count:
            tint = np.repeat(tint, 2, 0)
        self._parts.append(_triangles(count, pos, uv, normal, tint, finish.mat, finish.label, finish.obj))

    def box(self, low: ArrayLike, high: ArrayLike, finish: Finish) -> None:
        """Adds an axis-aligned box without its bottom; `uv` are metres on each face."""
        (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
        ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self.prism(ring, z0, z1, finish)

    def prism(self, ring: ArrayLike, z0: float, z1: float, finish: Finish, top: bool = True) -> None:
        """Adds the upright prism over a counter-clockwise ground polygon of 4 points (x, y); `uv` are metres along and up."""
        points = np.asarray(ring, float)
        nxt = np.roll(points, -1, 0)
        low = np.column_stack([points, np.full(len(points), z0)])
        low_next = np.column_stack([nxt, np.full(len(points), z0)])
        rise = np.array([0, 0, z1 - z0])
        along = np.linalg.norm(nxt - points, axis=1)
        uv = np.zeros((len(points), 4, 2))
        uv[:, 1, 0] = uv[:, 2, 0] = along
        uv[:, 2:, 1] = z1 - z0
        self.quads(np.stack([low, low_next, low_next + rise, low + rise], 1), finish, uv)
        if top:
            plan = points - points[0]
            self.quads(low + rise, finish, plan[None])

    def tube(
        self, start: ArrayLike, end: ArrayLike, r0: float, r1: float, finish: Finish, sides: int = 6
    ) -> None:
        """Adds a tapered tube from `start` (radius `r0`) to `end` (`r1`), open at its ends."""
        a, b = np.asarray(start, float), np.asarray(end, float)
        axis = b - a
        axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
        helper = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.8 else np.array([0, 1.0, 0])
        side = np.cross(axis, helper)
        side /= np.linalg.norm(side)
        other = np.cross(axis, side)
        angle = np.arange(sides + 1) * (2 * np.pi / sides)
        rim = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other
        low, high = a + r0 * rim, b + r1 * rim
        length = float(np.linalg.norm(b - a))
        uv = np.zeros((sides, 4, 2))
        uv[:, 0, 0] = uv[:, 3, 0] = np.arange(sides) * r0
        uv[:, 1, 0] = uv[:, 2, 0] = np.arange(1, sides + 1) * r0
        uv[:, 2:, 1] = length
        self.quads(np.stack([low[:-1], low[1:], high[1:], high[:-1]], 1), finish, uv)

    def disc(
        self, center: ArrayLike, right: ArrayLike, up: ArrayLike, finish: Finish, sides: int = 14
    ) -> None:
        """Adds a flat disc spanned by two radius vectors; `uv` run from -1 to 1 along them."""
        angle = np.arange(sides + 1) * (2 * np.pi / sides)
        flat = np.column_stack([np.cos(angle), np.sin(angle)])
        rim = np.asarray(center, float) + flat @ np.stack([np.asarray(right, float), np.asarray(up, float)])
        middle = np.broadcast_to(np.asarray(center, float), (sides // 2, 3))
        zero = np.zeros((sides // 2, 2))
        corners = np.stack([middle, rim[0:-2:2], rim[1:-1:2], rim[2::2]], 1)
        uv = np.stack([zero, flat[0:-2:2], flat[1:-1:2], flat[2::2]], 1)
        normal = np.cross(np.asarray(right, float), np.asarray(up, float))
        self.quads(corners, finish, uv, normal=normal / max(float(np.linalg.norm(normal)), 1e-9))

    def ball(
        self, center: ArrayLike, radii: ArrayLike, finish: Finish, rings: int = 5, sides: int = 8
    ) -> None:
        """Adds an ellipsoid."""
        lat = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
        lon = np.arange(sides + 1) * (2 * np.pi / sides)
        grid = np.stack(
            [
                np.cos(lat)[:, None] * np.cos(lon),
                np.cos(lat)[:, None] * np.sin(lon),
                np.repeat(np.sin(lat)[:, None], sides + 1, 1),
            ],
            -1,
        ) * np.asarray(radii, float) + np.asarray(center, float)
        quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], 2).reshape(-1, 4, 3)
        self.quads(quads, finish)

    def mesh(self, other: Mesh) -> None:
        """Adds a finished mesh."""
        self._parts.append(replace(other, obj=other.obj + np.int32(len(self._params))))
        self._params.extend(other.params)

    def build(self) -> Mesh:
        """The mesh of all that was added (it may be empty)."""
        return _concatenated(self._parts, np.stack(self._params))
