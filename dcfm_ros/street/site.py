"""A block while it is built: where its places lie, what is put there, and the stock of plants that all blocks share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import furniture, plants
from dcfm_ros.street.line import Line
from dcfm_ros.street.mesh import Mesh, MeshBuilder, yaw_matrix
from dcfm_ros.street.street import Street
from dcfm_ros.street.style import Style

BLOCK = 60.0
"""Metres of street in a block."""
KERB = 0.12
"""Metres that the pavement lies above the road."""


class Stock:
    """A drive's trees, shrubs and street lamp."""

    def __init__(self, seed: int, style: Style) -> None:
        rng = np.random.default_rng([seed, 41])
        self._trees = [
            plants.draw_tree(rng, float(np.clip(style.season + rng.normal(0, 0.12), 0, 1)), style.foliage)
            for _ in range(6)
        ]
        self._evergreen = plants.draw_tree(rng, 1.0, (0.05, 0.1, 0.04))
        self._bushes = [plants.draw_bush(rng, style.foliage) for _ in range(3)]
        self.lamp = furniture.lamp_post(
            float(rng.uniform(5.5, 8.5)), float(rng.uniform(0.4, 1.6)), float(rng.choice([0.05, 0.3, 0.45]))
        )

    def tree(self, rng: np.random.Generator) -> Mesh:
        """One of the trees."""
        return self._evergreen if rng.random() < 0.12 else self._trees[rng.integers(len(self._trees))]

    def bush(self, rng: np.random.Generator) -> Mesh:
        """One of the shrubs."""
        return self._bushes[rng.integers(len(self._bushes))]


class Site:
    """Block `number`: `s` metres into it and `d` metres left of the centre line name a place; side 1 is left, -1 right.

    `gaps`: from where to where a side street leaves on a side.
    """

    def __init__(self, stock: Stock, number: int, seed: int, style: Style, street: Street) -> None:
        self.stock = stock
        self.number = number
        self.style = style
        self.street = street
        self.rng = np.random.default_rng([seed, 53, number + 10_000])
        self.s0 = number * BLOCK
        self.origin = street.place(self.s0, 0.0)
        self.out = MeshBuilder()
        self.footprints: list[NDArray[np.float64]] = []
        self.strengths: list[float] = []
        self.gaps: dict[int, tuple[float, float] | None] = {1: None, -1: None}

    def at(self, s: float, d: float) -> NDArray[np.float64]:
        """x, y relative to the origin, `s` metres into the block and `d` left of the centre line."""
        return self.street.place(self.s0 + s, d) - self.origin

    def heading(self, s: float) -> float:
        """Direction of the street, radians."""
        return float(self.street.heading(self.s0 + s))

    def kerb(self, side: int) -> float:
        """Distance of the kerb from the centre line."""
        return self.street.left if side > 0 else self.street.right

    def edge(self, side: int) -> float:
        """Distance of the back of the pavement from the centre line."""
        return self.kerb(side) + self.street.walk

    def put(
        self, mesh: Mesh, s: float, d: float, turn: float = 0.0, z: float = 0.0, scale: float = 1.0
    ) -> None:
        """Adds an object, its x axis along the street."""
        self.out.mesh(mesh.moved(yaw_matrix(self.heading(s) + turn), [*self.at(s, d), z], scale))

    def darken(self, corners: NDArray[np.float64], strength: float) -> None:
        """Notes a ground polygon 4×2 that darkens the ground around it by `strength`, 0-1."""
        self.footprints.append(corners)
        self.strengths.append(strength)

    def front(self, side: int, s0: float, s1: float, d: float) -> Line:
        """A line along the street, `d` from its centre."""
        a, b = self.at(s0, side * d), self.at(s1, side * d)
        return Line(a, b) if side > 0 else Line(b, a)

    def free(self, side: int, s: float, margin: float = 1.5) -> bool:
        """Whether `s` lies `margin` metres off the mouth of a side street."""
        gap = self.gaps[side]
        return gap is None or not gap[0] - margin < s < gap[1] + margin

    def tree(self, s: float, d: float, scale: float) -> None:
        """Adds a tree, `d` left of the centre line."""
        self.put(self.stock.tree(self.rng), s, d, float(self.rng.uniform(0, 6.28)), 0.0, scale)
        spot = self.at(s, d)
        self.darken(spot + np.array([[-0.4, -0.4], [0.4, -0.4], [0.4, 0.4], [-0.4, 0.4]]), 0.6)

    def pole_shade(self, s: float, d: float) -> None:
        """Darkens the ground around a pole or a person."""
        self.darken(self.at(s, d) + 0.15 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), 0.4)
