"""The street, block by block: 60 m of road, pavements and plots on either side, each from the seed and its number alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import buildings, cars, furniture, materials, people, plants
from dcfm_ros.street.labels import PAVEMENT, ROAD, TREE
from dcfm_ros.street.mesh import Mesh, MeshBuilder, yaw_matrix
from dcfm_ros.street.street import Street
from dcfm_ros.street.style import Style

BLOCK = 60.0
KERB = 0.12
PLOT_DEPTH = 11.0
_ZONES = ("terrace", "shops", "houses", "park", "modern", "wall")


@dataclass(frozen=True)
class Block:
    """Everything that stands still in one block; positions relative to `origin` (world x, y).

    `footprints` N×4×2 ground polygons that darken the ground around them by `strengths` N.
    """

    mesh: Mesh
    origin: NDArray[np.float64]
    footprints: NDArray[np.float64]
    strengths: NDArray[np.float64]


class BlockPlanner:
    """Builds block `number`, always the same for the same seed."""

    def __init__(self, seed: int, style: Style, street: Street) -> None:
        self._seed = seed
        self._style = style
        self._street = street
        rng = np.random.default_rng([seed, 41])
        self._trees = [
            plants.draw_tree(rng, float(np.clip(style.season + rng.normal(0, 0.12), 0, 1)), style.foliage)
            for _ in range(6)
        ]
        self._evergreen = plants.draw_tree(rng, 1.0, (0.05, 0.1, 0.04))
        self._bushes = [plants.draw_bush(rng, style.foliage) for _ in range(3)]
        self._lamp = furniture.lamp_post(
            float(rng.uniform(5.5, 8.5)), float(rng.uniform(0.4, 1.6)), float(rng.choice([0.05, 0.3, 0.45]))
        )

    def build(self, number: int) -> Block:
        """Block `number` covers arc lengths number·60 to (number+1)·60; number may be negative."""
        return _BlockBuilder(self, number, self._seed, self._style, self._street).build()

    def tree(self, rng: np.random.Generator) -> Mesh:
        """One of the drive's trees."""
        return self._evergreen if rng.random() < 0.12 else self._trees[rng.integers(len(self._trees))]

    def bush(self, rng: np.random.Generator) -> Mesh:
        """One of the drive's shrubs."""
        return self._bushes[rng.integers(len(self._bushes))]

    @property
    def lamp(self) -> Mesh:
        """The drive's street lamp."""
        return self._lamp


class _BlockBuilder:
    def __init__(self, planner: BlockPlanner, number: int, seed: int, style: Style, street: Street) -> None:
        self.planner = planner
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

    def build(self) -> Block:
        rng = self.rng
        for side in (1, -1):
            if rng.random() < 0.3:
                start = float(rng.uniform(20, 30))
                self.gaps[side] = (start, start + float(rng.uniform(6.5, 8.5)))
        self._ground()
        for side in (1, -1):
            self._plots(side)
            self._kerbside(side)
            self._parked(side)
            self._standing(side)
            gap = self.gaps[side]
            if gap is not None:
                self._side_street(side, *gap)
        count = len(self.footprints)
        shapes = np.stack(self.footprints) if count else np.zeros((0, 4, 2))
        return Block(self.out.build(), self.origin, shapes, np.asarray(self.strengths))

    # Places -----------------------------------------------------------------------------------------------------------

    def at(self, s: float, d: float) -> NDArray[np.float64]:
        """x, y relative to the origin, `s` metres into the block and `d` left of the centre line."""
        return self.street.place(self.s0 + s, d) - self.origin

    def heading(self, s: float) -> float:
        return float(self.street.heading(self.s0 + s))

    def edge(self, side: int) -> float:
        """Distance of the back of the pavement from the centre line."""
        return (self.street.left if side > 0 else self.street.right) + self.street.walk

    def put(
        self, mesh: Mesh, s: float, d: float, turn: float = 0.0, z: float = 0.0, scale: float = 1.0
    ) -> None:
        """Adds an object, its x axis along the street."""
        self.out.mesh(mesh.moved(yaw_matrix(self.heading(s) + turn), [*self.at(s, d), z], scale))

    def darken(self, corners: NDArray[np.float64], strength: float) -> None:
        self.footprints.append(corners)
        self.strengths.append(strength)

    def front(
        self, side: int, s0: float, s1: float, d: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends of a front line, the left one (seen from the street) first."""
        a, b = self.at(s0, side * d), self.at(s1, side * d)
        return (a, b) if side > 0 else (b, a)

    # Ground -----------------------------------------------------------------------------------------------------------

    def _ground(self) -> None:
        street, style, rng = self.street, self.style, self.rng
        zebra = float(rng.uniform(8, 14)) if rng.random() < 0.18 else 0.0
        arrow = float(rng.uniform(36, 50)) if rng.random() < 0.25 else 0.0
        v0 = (self.number % 8) * BLOCK
        centre = float(rng.choice([1.0, 2.0, 2.0, 3.0]))
        edges = float(rng.choice([0.0, 1.0, 2.0, 2.0]))
        obj = self.out.params(
            [float(self.number % 97), 0.0, street.left, -street.right, street.lane, centre, edges, street.park_left, street.park_right,
             v0 + zebra if zebra else 0.0, v0 + arrow if arrow else 0.0]
        )  # fmt: skip
        s = np.arange(0.0, BLOCK + 1, 2.0)
        self._strip(s, -street.right, street.left, 0.0, 0.0, style.asphalt, ROAD, materials.ROAD, obj, v0)
        walk = self.out.params([float(rng.uniform(1, 50))])
        for side in (1, -1):
            kerb = street.left if side > 0 else street.right
            back = kerb + street.walk
            gap = self.gaps[side]
            parts = [(0.0, BLOCK)] if gap is None else [(0.0, gap[0]), (gap[1], BLOCK)]
            for a, b in parts:
                cut = np.unique(
                    np.clip(np.concatenate([np.arange(np.ceil(a / 2) * 2, b, 2.0), [a, b]]), a, b)
                )
                self._strip(
                    cut,
                    side * kerb,
                    side * (kerb + 0.14),
                    0.0,
                    KERB,
                    [0.34, 0.33, 0.31],
                    PAVEMENT,
                    materials.PLAIN,
                    0,
                    v0,
                )
                self._strip(
                    cut,
                    side * (kerb + 0.14),
                    side * back,
                    KERB,
                    KERB,
                    style.pavement,
                    PAVEMENT,
                    materials.PAVEMENT,
                    walk,
                    v0,
                )
            lawn = np.array(style.foliage) * [1.0, 0.95, 0.9]
            self._strip(
                np.arange(0, BLOCK + 1, 4.0),
                side * back,
                side * (back + 60.0),
                KERB - 0.03,
                0.0,
                lawn,
                TREE,
                materials.GRASS,
                0,
                v0,
            )

    def _strip(
        self,
        s: NDArray[np.float64],
        d0: float,
        d1: float,
        z0: float,
        z1: float,
        color: object,
        label: int,
        mat: int,
        obj: int,
        v0: float,
    ) -> None:
        """A band of ground between two distances from the centre line."""
        near = np.column_stack([self.street.place(self.s0 + s, d0) - self.origin, np.full(len(s), z0)])
        far = np.column_stack([self.street.place(self.s0 + s, d1) - self.origin, np.full(len(s), z1)])
        uv = np.stack(
            [np.stack(np.broadcast_arrays(d0, v0 + s[:-1]), 1), np.stack(np.broadcast_arrays(d0, v0 + s[1:]), 1),
             np.stack(np.broadcast_arrays(d1, v0 + s[1:]), 1), np.stack(np.broadcast_arrays(d1, v0 + s[:-1]), 1)], 1
        )  # fmt: skip
        quads = np.stack([near[:-1], near[1:], far[1:], far[:-1]], 1)
        self.out.quads(quads, np.asarray(color), label, mat, uv, obj, [0, 0, 1])

    # Plots ------------------------------------------------------------------------------------------------------------

    def _plots(self, side: int) -> None:
        gap = self.gaps[side]
        spans = [(0.0, BLOCK)] if gap is None else [(0.0, gap[0] - 2.0), (gap[1] + 2.0, BLOCK)]
        for a, b in spans:
            green = self.style.greenery
            weights = np.array(
                [0.9, 0.2 + 2.0 * self.style.shops, 0.5 + 0.5 * green, 0.45 * green, 0.5, 0.25 * green]
            )
            zone = str(self.rng.choice(_ZONES, p=weights / weights.sum()))
            getattr(self, "_" + zone)(side, a, b)

    def _row(
        self, side: int, a: float, b: float, zone: str, setback: float, widths: tuple[float, float]
    ) -> None:
        rng = self.rng
        look = buildings.draw_look(rng, zone, self.style.brick)
        s = a
        while s < b - 1.0:
            width = float(rng.uniform(*widths))
            end = b if b - (s + width) < widths[0] else s + width
            if rng.random() < (0.75 if zone == "shops" else 0.25):
                look = buildings.draw_look(rng, zone, self.style.brick)
            p0, p1 = self.front(side, s, end, self.edge(side) + setback)
            ring = buildings.add_building(self.out, rng, look, p0, p1, PLOT_DEPTH)
            self.darken(ring, 0.55)
            s = end

    def _terrace(self, side: int, a: float, b: float) -> None:
        setback = float(self.rng.choice([0.0, 1.8, 3.5]))
        self._row(side, a, b, "terrace", setback, (4.8, 7.0))
        if setback > 0:
            self._boundary(side, a, b)
        if setback > 3:
            self._scatter(side, a, b, 0.8, setback - 0.8, 5)

    def _shops(self, side: int, a: float, b: float) -> None:
        self._row(side, a, b, "shops", 0.0, (5.0, 9.0))

    def _modern(self, side: int, a: float, b: float) -> None:
        self._row(side, a, b, "modern", float(self.rng.choice([0.0, 1.5, 4.0])), (13.0, 24.0))

    def _houses(self, side: int, a: float, b: float) -> None:
        rng = self.rng
        s = a + 1.0
        while s + 8.0 < b:
            width = float(rng.uniform(7.5, 10.5))
            end = min(s + width, b - 0.5)
            look = buildings.draw_look(rng, "houses", self.style.brick)
            p0, p1 = self.front(side, s, end, self.edge(side) + float(rng.uniform(4.0, 6.0)))
            self.darken(buildings.add_building(self.out, rng, look, p0, p1, 9.0), 0.5)
            s = end + float(rng.uniform(1.5, 4.5))
        self._boundary(side, a, b)
        self._scatter(side, a, b, 1.2, 3.4, 8)
        self._wood(side, a, b, 17.0, 24.0, 5)

    def _park(self, side: int, a: float, b: float) -> None:
        self._boundary(side, a, b, railing=0.8)
        self._wood(side, a, b, 2.5, 16.0, 9)
        self._wood(side, a, b, 20.0, 34.0, 8)
        self._scatter(side, a, b, 1.0, 8.0, 10)

    def _wall(self, side: int, a: float, b: float) -> None:
        p, q = self.front(side, a, b, self.edge(side))
        inward = _inward(p, q)
        furniture.add_wall(
            self.out, p, q, inward, float(self.rng.uniform(1.6, 2.6)), np.array(self.style.brick) * 0.8
        )
        self._wood(side, a, b, 2.0, 9.0, 8)
        self._row(side, a + 5, b - 5, "modern", 16.0, (14.0, 25.0))

    def _boundary(self, side: int, a: float, b: float, railing: float = 0.4) -> None:
        """Front garden line: hedge, railing, planks or a low wall, with a gate now and then."""
        rng = self.rng
        kind = "railing" if rng.random() < railing else str(rng.choice(["hedge", "planks", "wall", "hedge"]))
        tone = float(rng.choice([0.02, 0.02, 0.05, 0.3]))
        height = float(rng.uniform(0.9, 1.3))
        s = a
        while s < b - 2.0:
            end = min(s + float(rng.uniform(5.0, 9.0)), b)
            p, q = self.front(side, s, end - 1.1, self.edge(side) + 0.1)
            inward = _inward(p, q)
            if kind == "railing":
                furniture.add_railing(
                    self.out, p, q, height, np.full(3, tone), bool(rng.random() < 0.15), KERB
                )
            elif kind == "planks":
                furniture.add_planks(self.out, p, q, inward, height + 0.5, np.array([0.26, 0.19, 0.12]))
            elif kind == "wall":
                furniture.add_wall(self.out, p, q, inward, height * 0.8, np.array(self.style.brick))
            else:
                plants.add_hedge(self.out, p, q, inward, height + 0.3, np.array(self.style.foliage) * 0.75)
            s = end

    def _scatter(self, side: int, a: float, b: float, low: float, high: float, count: int) -> None:
        """Shrubs."""
        for _ in range(count):
            s, d = self.rng.uniform(a, b), self.edge(side) + self.rng.uniform(low, high)
            self.put(
                self.planner.bush(self.rng),
                s,
                side * d,
                self.rng.uniform(0, 6.28),
                0.0,
                float(self.rng.uniform(0.8, 1.7)),
            )

    def _wood(self, side: int, a: float, b: float, low: float, high: float, count: int) -> None:
        """Trees."""
        for k in range(count):
            s, d = (
                a + (k + self.rng.uniform(0.1, 0.9)) * (b - a) / count,
                self.edge(side) + self.rng.uniform(low, high),
            )
            self._tree(s, side * d, float(self.rng.uniform(0.9, 1.7)))

    def _tree(self, s: float, d: float, scale: float) -> None:
        self.put(self.planner.tree(self.rng), s, d, float(self.rng.uniform(0, 6.28)), 0.0, scale)
        spot = self.at(s, d)
        self.darken(spot + np.array([[-0.4, -0.4], [0.4, -0.4], [0.4, 0.4], [-0.4, 0.4]]), 0.6)

    def _side_street(self, side: int, a: float, b: float) -> None:
        """A road that leaves at a right angle, closed by houses far back."""
        street = self.street
        kerb = street.left if side > 0 else street.right
        reach = 55.0
        obj = self.out.params([5.0, 0.0, 99.0, -99.0, 3.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        for s0, s1, z, color, label, mat, number in (
            (a, b, 0.004, self.style.asphalt, ROAD, materials.ROAD, obj),
            (a - 1.9, a, KERB + 0.004, self.style.pavement, PAVEMENT, materials.PAVEMENT, 0),
            (b, b + 1.9, KERB + 0.004, self.style.pavement, PAVEMENT, materials.PAVEMENT, 0),
        ):
            start = kerb if label == ROAD else kerb + street.walk
            d = np.array([start, *np.arange(np.ceil(start / 4) * 4 + 4, reach, 4.0), reach])
            p = np.column_stack([np.stack([self.at(s0, side * x) for x in d]), np.full(len(d), z)])
            q = np.column_stack([np.stack([self.at(s1, side * x) for x in d]), np.full(len(d), z)])
            if label == ROAD:
                p[1:, 2] += KERB - 0.02
                q[1:, 2] += KERB - 0.02
            u = (
                np.stack(
                    [
                        np.full(len(d) - 1, s0),
                        np.full(len(d) - 1, s0),
                        np.full(len(d) - 1, s1),
                        np.full(len(d) - 1, s1),
                    ],
                    1,
                )
                - (a + b) / 2
            )
            v = np.stack([d[:-1], d[1:], d[1:], d[:-1]], 1)
            self.out.quads(
                np.stack([p[:-1], p[1:], q[1:], q[:-1]], 1),
                np.asarray(color),
                label,
                mat,
                np.stack([u, v], -1),
                number,
                [0, 0, 1],
            )
        look = buildings.draw_look(self.rng, "terrace", self.style.brick)
        p0, p1 = self.front(side, a - 8, b + 8, reach)
        buildings.add_building(self.out, self.rng, look, p0, p1, 8.0)
        for x in np.arange(self.edge(side) + PLOT_DEPTH + 2, reach - 4, 7.5):
            for s, grow in ((a - 3.5, self.rng.random()), (b + 3.5, self.rng.random())):
                if grow < 0.5:
                    self._tree(s, side * float(x), float(self.rng.uniform(0.8, 1.3)))
        if self.rng.random() < 0.5:
            self.put(furniture.sign_post(1, 0.3), a - 1.0, side * (kerb + 0.4), 0.0, KERB)
        if self.rng.random() < 0.35:
            for s in (a - 0.8, b + 0.8):
                self.put(
                    furniture.traffic_light(int(self.rng.choice([0, 2, 2]))),
                    s,
                    side * (kerb + 0.4),
                    0.0 if side > 0 else np.pi,
                    KERB,
                )
            self.put(
                furniture.traffic_light(2),
                a - 0.8,
                -side * ((street.right if side > 0 else street.left) + 0.4),
                0.0,
                KERB,
            )

    # Kerbside ---------------------------------------------------------------------------------------------------------

    def _free(self, side: int, s: float, margin: float = 1.5) -> bool:
        gap = self.gaps[side]
        return gap is None or not gap[0] - margin < s < gap[1] + margin

    def _kerbside(self, side: int) -> None:
        rng, street = self.rng, self.street
        kerb = street.left if side > 0 else street.right
        planted = rng.random() < 0.45 * self.style.greenery + 0.1
        spot = float(rng.uniform(1, 6)) + (13.0 if side > 0 else 0.0)
        for s in np.arange(spot, BLOCK, 26.0):
            if self._free(side, s):
                self.put(self.planner.lamp, s, side * (kerb + 0.45), np.pi if side > 0 else 0.0, KERB)
                self._pole_shade(s, side * (kerb + 0.45))
        if planted and street.walk > 1.9:
            for s in np.arange(float(rng.uniform(3, 9)), BLOCK, float(rng.uniform(9, 15))):
                if self._free(side, s, 3.0) and abs((s - spot) % 26.0) > 1.5:
                    self._tree(s, side * (kerb + 0.7), float(rng.uniform(0.75, 1.15)))
        for _ in range(int(rng.integers(0, 4))):
            s = float(rng.uniform(2, 58))
            if self._free(side, s):
                kind = int(rng.choice([0, 1, 2, 3]))
                facing = 0.0 if side > 0 or rng.random() < 0.3 else np.pi
                self.put(furniture.sign_post(kind, float(rng.random())), s, side * (kerb + 0.4), facing, KERB)
                self._pole_shade(s, side * (kerb + 0.4))
        if rng.random() < 0.25:
            white = bool(rng.random() < 0.3)
            start = float(rng.uniform(0, 40))
            for s in np.arange(start, start + 14.0, 1.8):
                if self._free(side, s):
                    self.put(furniture.bollard(white), s, side * (kerb + 0.35), 0.0, KERB)
        if rng.random() < 0.2:
            start = float(rng.uniform(0, 40))
            if self._free(side, start, 13) and self._free(side, start + 12):
                p, q = self.front(side, start, start + 12.0, kerb + 0.3)
                furniture.add_railing(self.out, p, q, 1.0, np.full(3, 0.2), False, KERB)
        if rng.random() < 0.35:
            s = float(rng.uniform(3, 57))
            if self._free(side, s):
                color = np.array([[0.02, 0.02, 0.02], [0.02, 0.1, 0.05], [0.45, 0.02, 0.02]][rng.integers(3)])
                self.put(furniture.bin_box(color), s, side * (self.edge(side) - 0.5), 0.0, KERB)
        if rng.random() < 0.15:
            s = float(rng.uniform(6, 54))
            if self._free(side, s, 4) and street.walk > 2.2:
                self.put(
                    furniture.bus_stop(float(rng.random() * 9)),
                    s,
                    side * (self.edge(side) - 0.9),
                    np.pi if side > 0 else 0.0,
                    KERB,
                )

    def _pole_shade(self, s: float, d: float) -> None:
        self.darken(self.at(s, d) + 0.15 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), 0.4)

    def _parked(self, side: int) -> None:
        street, rng = self.street, self.rng
        width = street.park_left if side > 0 else street.park_right
        if width == 0:
            return
        kerb = street.left if side > 0 else street.right
        for slot in range(10):
            s = slot * 6.0 + 3.0
            kind = str(
                rng.choice(["hatch", "saloon", "estate", "suv", "van"], p=[0.38, 0.22, 0.15, 0.17, 0.08])
            )
            color, seed, here = int(rng.integers(12)), int(rng.integers(40)), rng.random() < self.style.parked
            jitter, turned = float(rng.uniform(-0.5, 0.5)), rng.random() < 0.2
            if not here or not self._free(side, s, 4.0):
                continue
            facing = (0.0 if side > 0 else np.pi) + (np.pi if turned else 0.0)
            d = side * (kerb - 0.25 - 0.5 * cars.SHAPES[kind].width)
            self.put(cars.vehicle(kind, color, seed), s + jitter, d, facing + float(rng.normal(0, 0.012)))
            self.darken(car_footprint(kind, self.at(s + jitter, d), self.heading(s + jitter)), 0.92)

    def _standing(self, side: int) -> None:
        """People who wait or talk."""
        rng = self.rng
        for _ in range(rng.poisson(0.8 * self.style.people)):
            s, d = float(rng.uniform(1, 59)), self.edge(side) - float(rng.uniform(0.3, 0.9))
            together = int(rng.integers(1, 3))
            person, turn = int(rng.integers(60)), float(rng.uniform(0, 6.28))
            if self._free(side, s, 2.0):
                for k in range(together):
                    self.put(
                        people.walker(person + k, 0, False), s + 0.55 * k, side * d, turn + np.pi * k, KERB
                    )
                    self._pole_shade(s + 0.55 * k, side * d)


def car_footprint(kind: str, spot: NDArray[np.float64], heading: float) -> NDArray[np.float64]:
    """Ground polygon 4×2 under a vehicle."""
    shape = cars.SHAPES[kind]
    x, y = shape.length / 2 * 0.97, shape.width / 2 * 0.95
    corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    return np.asarray(corners @ yaw_matrix(heading)[:2, :2].T + spot)


def _inward(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector away from the street, for a line given left end first."""
    along = (q - p) / np.linalg.norm(q - p)
    return np.array([-along[1], along[0]])
