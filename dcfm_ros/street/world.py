"""The street, block by block: 60 m of road, pavements and plots on either side, each from the seed and its number alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street.crossing import build_side_street
from dcfm_ros.street.ground import lay_ground
from dcfm_ros.street.kerbside import furnish_kerb, park_cars, place_people
from dcfm_ros.street.mesh import Mesh
from dcfm_ros.street.plots import build_plots
from dcfm_ros.street.site import Site, Stock
from dcfm_ros.street.street import Street
from dcfm_ros.street.style import Style


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
        self._stock = Stock(seed, style)

    def build(self, number: int) -> Block:
        """Block `number` covers arc lengths number·60 to (number+1)·60; number may be negative."""
        site = Site(self._stock, number, self._seed, self._style, self._street)
        for side in (1, -1):
            if site.rng.random() < 0.3:
                start = float(site.rng.uniform(20, 30))
                site.gaps[side] = (start, start + float(site.rng.uniform(6.5, 8.5)))
        lay_ground(site)
        for side in (1, -1):
            build_plots(site, side)
            furnish_kerb(site, side)
            park_cars(site, side)
            place_people(site, side)
            gap = site.gaps[side]
            if gap is not None:
                build_side_street(site, side, *gap)
        shapes = np.stack(site.footprints) if site.footprints else np.zeros((0, 4, 2))
        return Block(site.out.build(), site.origin, shapes, np.asarray(site.strengths))
