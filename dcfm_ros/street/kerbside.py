"""What stands along the kerb: lamps, trees, signs, parked cars, and people who wait."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street import cars, furniture, people
from dcfm_ros.street.site import BLOCK, KERB, Site


def furnish_kerb(site: Site, side: int) -> None:
    rng, street = site.rng, site.street
    kerb = site.kerb(side)
    planted = rng.random() < 0.45 * site.style.greenery + 0.1
    spot = float(rng.uniform(1, 6)) + (13.0 if side > 0 else 0.0)
    for s in np.arange(spot, BLOCK, 26.0):
        if site.free(side, s):
            site.put(site.stock.lamp, s, side * (kerb + 0.45), np.pi if side > 0 else 0.0, KERB)
            site.pole_shade(s, side * (kerb + 0.45))
    if planted and street.walk > 1.9:
        for s in np.arange(float(rng.uniform(3, 9)), BLOCK, float(rng.uniform(9, 15))):
            if site.free(side, s, 3.0) and abs((s - spot) % 26.0) > 1.5:
                site.tree(s, side * (kerb + 0.7), float(rng.uniform(0.75, 1.15)))
    for _ in range(int(rng.integers(0, 4))):
        s = float(rng.uniform(2, 58))
        if site.free(side, s):
            kind = int(rng.choice([0, 1, 2, 3]))
            facing = 0.0 if side > 0 or rng.random() < 0.3 else np.pi
            site.put(furniture.sign_post(kind, float(rng.random())), s, side * (kerb + 0.4), facing, KERB)
            site.pole_shade(s, side * (kerb + 0.4))
    if rng.random() < 0.25:
        white = bool(rng.random() < 0.3)
        start = float(rng.uniform(0, 40))
        for s in np.arange(start, start + 14.0, 1.8):
            if site.free(side, s):
                site.put(furniture.bollard(white), s, side * (kerb + 0.35), 0.0, KERB)
    if rng.random() < 0.2:
        start = float(rng.uniform(0, 40))
        if site.free(side, start, 13) and site.free(side, start + 12):
            line = site.front(side, start, start + 12.0, kerb + 0.3)
            furniture.add_railing(site.out, line, 1.0, np.full(3, 0.2), False, KERB)
    if rng.random() < 0.35:
        s = float(rng.uniform(3, 57))
        if site.free(side, s):
            color = np.array([[0.02, 0.02, 0.02], [0.02, 0.1, 0.05], [0.45, 0.02, 0.02]][rng.integers(3)])
            site.put(furniture.bin_box(color), s, side * (site.edge(side) - 0.5), 0.0, KERB)
    if rng.random() < 0.15:
        s = float(rng.uniform(6, 54))
        if site.free(side, s, 4) and street.walk > 2.2:
            site.put(
                furniture.bus_stop(float(rng.random() * 9)),
                s,
                side * (site.edge(side) - 0.9),
                np.pi if side > 0 else 0.0,
                KERB,
            )


def park_cars(site: Site, side: int) -> None:
    street, rng = site.street, site.rng
    width = street.park_left if side > 0 else street.park_right
    if width == 0:
        return
    kerb = site.kerb(side)
    for slot in range(10):
        s = slot * 6.0 + 3.0
        kind = str(rng.choice(["hatch", "saloon", "estate", "suv", "van"], p=[0.38, 0.22, 0.15, 0.17, 0.08]))
        color, seed, here = int(rng.integers(12)), int(rng.integers(40)), rng.random() < site.style.parked
        jitter, turned = float(rng.uniform(-0.5, 0.5)), rng.random() < 0.2
        if not here or not site.free(side, s, 4.0):
            continue
        facing = (0.0 if side > 0 else np.pi) + (np.pi if turned else 0.0)
        d = side * (kerb - 0.25 - 0.5 * cars.SHAPES[kind].width)
        site.put(cars.vehicle(kind, color, seed), s + jitter, d, facing + float(rng.normal(0, 0.012)))
        site.darken(cars.footprint(kind, site.at(s + jitter, d), site.heading(s + jitter)), 0.92)


def place_people(site: Site, side: int) -> None:
    """People who wait or talk."""
    rng = site.rng
    for _ in range(rng.poisson(0.8 * site.style.people)):
        s, d = float(rng.uniform(1, 59)), site.edge(side) - float(rng.uniform(0.3, 0.9))
        together = int(rng.integers(1, 3))
        person, turn = int(rng.integers(60)), float(rng.uniform(0, 6.28))
        if site.free(side, s, 2.0):
            for k in range(together):
                site.put(people.walker(person + k, 0, False), s + 0.55 * k, side * d, turn + np.pi * k, KERB)
                site.pole_shade(s + 0.55 * k, side * d)
