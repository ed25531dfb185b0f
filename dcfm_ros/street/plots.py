"""What stands behind the pavement: rows of houses, shops, gardens, parks and walls."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street import buildings, furniture, plants
from dcfm_ros.street.looks import draw_look
from dcfm_ros.street.site import BLOCK, KERB, Site

PLOT_DEPTH = 11.0


def build_plots(site: Site, side: int) -> None:
    """Fills a side of a block with zones: one, or one on either side of a side street."""
    gap = site.gaps[side]
    spans = [(0.0, BLOCK)] if gap is None else [(0.0, gap[0] - 2.0), (gap[1] + 2.0, BLOCK)]
    for a, b in spans:
        green = site.style.greenery
        weights = np.array(
            [0.9, 0.2 + 2.0 * site.style.shops, 0.5 + 0.5 * green, 0.45 * green, 0.5, 0.25 * green]
        )
        zone = str(site.rng.choice(list(_ZONES), p=weights / weights.sum()))
        _ZONES[zone](site, side, a, b)


def _row(
    site: Site, side: int, a: float, b: float, zone: str, setback: float, widths: tuple[float, float]
) -> None:
    rng = site.rng
    look = draw_look(rng, zone, site.style.brick)
    s = a
    while s < b - 1.0:
        width = float(rng.uniform(*widths))
        end = b if b - (s + width) < widths[0] else s + width
        if rng.random() < (0.75 if zone == "shops" else 0.25):
            look = draw_look(rng, zone, site.style.brick)
        line = site.front(side, s, end, site.edge(side) + setback)
        ring = buildings.add_building(site.out, rng, look, line, PLOT_DEPTH)
        site.darken(ring, 0.55)
        s = end


def _terrace(site: Site, side: int, a: float, b: float) -> None:
    setback = float(site.rng.choice([0.0, 1.8, 3.5]))
    _row(site, side, a, b, "terrace", setback, (4.8, 7.0))
    if setback > 0:
        _boundary(site, side, a, b)
    if setback > 3:
        _scatter(site, side, a, b, 0.8, setback - 0.8, 5)


def _shops(site: Site, side: int, a: float, b: float) -> None:
    _row(site, side, a, b, "shops", 0.0, (5.0, 9.0))


def _modern(site: Site, side: int, a: float, b: float) -> None:
    _row(site, side, a, b, "modern", float(site.rng.choice([0.0, 1.5, 4.0])), (13.0, 24.0))


def _houses(site: Site, side: int, a: float, b: float) -> None:
    rng = site.rng
    s = a + 1.0
    while s + 8.0 < b:
        width = float(rng.uniform(7.5, 10.5))
        end = min(s + width, b - 0.5)
        look = draw_look(rng, "houses", site.style.brick)
        line = site.front(side, s, end, site.edge(side) + float(rng.uniform(4.0, 6.0)))
        site.darken(buildings.add_building(site.out, rng, look, line, 9.0), 0.5)
        s = end + float(rng.uniform(1.5, 4.5))
    _boundary(site, side, a, b)
    _scatter(site, side, a, b, 1.2, 3.4, 8)
    _wood(site, side, a, b, 17.0, 24.0, 5)


def _park(site: Site, side: int, a: float, b: float) -> None:
    _boundary(site, side, a, b, railing=0.8)
    _wood(site, side, a, b, 2.5, 16.0, 9)
    _wood(site, side, a, b, 20.0, 34.0, 8)
    _scatter(site, side, a, b, 1.0, 8.0, 10)


def _wall(site: Site, side: int, a: float, b: float) -> None:
    line = site.front(side, a, b, site.edge(side))
    furniture.add_wall(site.out, line, float(site.rng.uniform(1.6, 2.6)), np.array(site.style.brick) * 0.8)
    _wood(site, side, a, b, 2.0, 9.0, 8)
    _row(site, side, a + 5, b - 5, "modern", 16.0, (14.0, 25.0))


def _boundary(site: Site, side: int, a: float, b: float, railing: float = 0.4) -> None:
    """Front garden line: hedge, railing, planks or a low wall, with a gate now and then."""
    rng = site.rng
    kind = "railing" if rng.random() < railing else str(rng.choice(["hedge", "planks", "wall", "hedge"]))
    tone = float(rng.choice([0.02, 0.02, 0.05, 0.3]))
    height = float(rng.uniform(0.9, 1.3))
    s = a
    while s < b - 2.0:
        end = min(s + float(rng.uniform(5.0, 9.0)), b)
        line = site.front(side, s, end - 1.1, site.edge(side) + 0.1)
        if kind == "railing":
            furniture.add_railing(site.out, line, height, np.full(3, tone), bool(rng.random() < 0.15), KERB)
        elif kind == "planks":
            furniture.add_planks(site.out, line, height + 0.5, np.array([0.26, 0.19, 0.12]))
        elif kind == "wall":
            furniture.add_wall(site.out, line, height * 0.8, np.array(site.style.brick))
        else:
            plants.add_hedge(site.out, line, height + 0.3, np.array(site.style.foliage) * 0.75)
        s = end


def _scatter(site: Site, side: int, a: float, b: float, low: float, high: float, count: int) -> None:
    """Shrubs."""
    for _ in range(count):
        s, d = site.rng.uniform(a, b), site.edge(side) + site.rng.uniform(low, high)
        site.put(
            site.stock.bush(site.rng),
            s,
            side * d,
            site.rng.uniform(0, 6.28),
            0.0,
            float(site.rng.uniform(0.8, 1.7)),
        )


def _wood(site: Site, side: int, a: float, b: float, low: float, high: float, count: int) -> None:
    """Trees."""
    for k in range(count):
        s, d = (
            a + (k + site.rng.uniform(0.1, 0.9)) * (b - a) / count,
            site.edge(side) + site.rng.uniform(low, high),
        )
        site.tree(s, side * d, float(site.rng.uniform(0.9, 1.7)))


_ZONES = {
    "terrace": _terrace,
    "shops": _shops,
    "houses": _houses,
    "park": _park,
    "modern": _modern,
    "wall": _wall,
}
