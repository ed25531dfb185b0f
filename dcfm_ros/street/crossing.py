"""A side street: its road, the houses that close it far back, trees, signs and traffic lights."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street import buildings, furniture
from dcfm_ros.street.ground import lay_side_road
from dcfm_ros.street.looks import draw_look
from dcfm_ros.street.plots import PLOT_DEPTH
from dcfm_ros.street.site import KERB, Site

_REACH = 55.0


def build_side_street(site: Site, side: int, a: float, b: float) -> None:
    """A road between `a` and `b` that leaves at a right angle."""
    lay_side_road(site, side, a, b, _REACH)
    kerb = site.kerb(side)
    look = draw_look(site.rng, "terrace", site.style.brick)
    line = site.front(side, a - 8, b + 8, _REACH)
    buildings.add_building(site.out, site.rng, look, line, 8.0)
    for x in np.arange(site.edge(side) + PLOT_DEPTH + 2, _REACH - 4, 7.5):
        for s, grow in ((a - 3.5, site.rng.random()), (b + 3.5, site.rng.random())):
            if grow < 0.5:
                site.tree(s, side * float(x), float(site.rng.uniform(0.8, 1.3)))
    if site.rng.random() < 0.5:
        site.put(furniture.sign_post(1, 0.3), a - 1.0, side * (kerb + 0.4), 0.0, KERB)
    if site.rng.random() < 0.35:
        for s in (a - 0.8, b + 0.8):
            site.put(
                furniture.traffic_light(int(site.rng.choice([0, 2, 2]))),
                s,
                side * (kerb + 0.4),
                0.0 if side > 0 else np.pi,
                KERB,
            )
        site.put(
            furniture.traffic_light(2),
            a - 0.8,
            -side * (site.kerb(-side) + 0.4),
            0.0,
            KERB,
        )
