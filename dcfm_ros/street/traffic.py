"""Everything that moves, as functions of time: cars, cyclists and people on foot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import cars, people
from dcfm_ros.street.mesh import Mesh
from dcfm_ros.street.site import KERB
from dcfm_ros.street.street import Motion, Street
from dcfm_ros.street.style import Style

_KINDS = ["hatch", "saloon", "estate", "suv", "van", "bus"]
AHEAD, BACK = 170.0, 15.0
_STRIDE = 1.45
"""Metres of two steps."""


@dataclass(frozen=True)
class Actor:
    """A thing at arc length `s`, `d` left of the centre line, `turn` radians from the street's direction, `z` up.

    `kind` is the vehicle's shape, or "" for a person.
    """

    mesh: Mesh
    s: float
    d: float
    turn: float
    z: float
    kind: str = ""


class Traffic:
    """The moving actors of a drive. Each stream moves at one speed, so nobody runs into the one in front."""

    def __init__(self, seed: int, style: Style, street: Street, motion: Motion) -> None:
        self._seed = seed
        self._style = style
        self._street = street
        self._motion = motion
        rng = np.random.default_rng([seed, 71])
        self._speed = style.speed * float(rng.uniform(0.9, 1.3))
        self._leads = int(rng.choice([0, 1, 1, 2])) if style.traffic > 0.25 else 0
        self._gap = float(rng.uniform(2.2, 4.0))
        self._paces = rng.uniform(1.15, 1.65, 4)

    def at(self, t: float, s: float) -> list[Actor]:
        """Those within sight of arc length `s` at time `t`."""
        return [*self._lead(t), *self._oncoming(t, s), *self._cyclists(t, s), *self._walkers(t, s)]

    def _rng(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 73, stream, number + 100_000])

    def _lead(self, t: float) -> Iterator[Actor]:
        for n in range(self._leads):
            rng = self._rng(0, n)
            kind = str(rng.choice(_KINDS, p=[0.3, 0.2, 0.15, 0.15, 0.12, 0.08]))
            ahead = self._motion.distance(t + self._gap * (n + 1)) + 7.0 * (n + 1)
            yield _driven(rng, kind, ahead, self._street.lane * 0.5, 0.0)

    def _stream(
        self, stream: int, spacing: float, speed: float, t: float, s: float
    ) -> Iterator[tuple[int, np.random.Generator]]:
        """A stream's members within sight: their numbers, and what draws all else about them."""
        low = int(np.floor((s - BACK - speed * t) / spacing)) - 1
        high = int(np.ceil((s + AHEAD - speed * t) / spacing)) + 1
        return ((n, self._rng(stream, n)) for n in range(low, high + 1))

    def _oncoming(self, t: float, s: float) -> Iterator[Actor]:
        if self._style.traffic < 0.05:
            return
        spacing = 26.0 / max(self._style.traffic, 0.1)
        for n, rng in self._stream(1, spacing, -self._speed, t, s):
            kind = str(rng.choice(_KINDS, p=[0.33, 0.2, 0.13, 0.15, 0.12, 0.07]))
            where = n * spacing + float(rng.uniform(0, max(spacing - 14.0, 1.0))) - self._speed * t
            side = -self._street.lane * 0.5 + float(rng.normal(0, 0.1))
            if rng.random() < 0.85:
                yield _driven(rng, kind, where, side, np.pi)

    def _cyclists(self, t: float, s: float) -> Iterator[Actor]:
        if self._style.bikes < 0.05:
            return
        spacing = 42.0 / self._style.bikes
        for stream, way in ((2, 1.0), (3, -1.0)):
            speed = way * 4.4
            for n, rng in self._stream(stream, spacing, speed, t, s):
                where = n * spacing + float(rng.uniform(0, spacing - 4.0)) + speed * t
                edge = self._street.lane - 0.55 + 0.12 * np.sin(0.8 * t + n)
                phase = int((t * float(rng.uniform(0.9, 1.3)) * people.PHASES) % people.PHASES)
                cyclist = people.cyclist(int(rng.integers(24)), phase)
                yield Actor(cyclist, where, way * edge, 0.0 if way > 0 else np.pi, 0.0)

    def _walkers(self, t: float, s: float) -> Iterator[Actor]:
        if self._style.people < 0.05:
            return
        spacing = 26.0 / self._style.people
        for stream, (side, way) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
            speed = way * float(self._paces[stream])
            kerb = self._street.left if side > 0 else self._street.right
            for n, rng in self._stream(4 + stream, spacing, speed, t, s):
                where = n * spacing + float(rng.uniform(0, spacing - 1.5)) + speed * t
                room = max(self._street.walk - 1.6, 0.05)
                edge = kerb + 1.0 + room * float(rng.random()) + 0.1 * np.sin(0.5 * t + n)
                for k in range(2 if rng.random() < 0.25 else 1):
                    phase = int((way * where / _STRIDE + 0.37 * n + 0.45 * k) % 1.0 * people.PHASES)
                    walker = people.walker(int(rng.integers(40)), phase)
                    turn = 0.0 if way > 0 else np.pi
                    yield Actor(walker, where + 0.3 * k, side * (edge + 0.5 * k), turn, KERB)


def _driven(rng: np.random.Generator, kind: str, s: float, d: float, turn: float) -> Actor:
    """A vehicle whose paint and plate are drawn."""
    return Actor(cars.vehicle(kind, int(rng.integers(12)), int(rng.integers(40))), s, d, turn, 0.0, kind)


def actor_spot(street: Street, actor: Actor) -> tuple[NDArray[np.float64], float]:
    """World x, y and heading of an actor."""
    return street.place(actor.s, actor.d), float(street.heading(actor.s)) + actor.turn
