"""The centre line of the street and the way the camera's car drives along it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street.style import Style

BEHIND = 200.0
"""Metres of street before the start."""


class Street:
    """The centre line by arc length s; d is the distance to its left. Traffic keeps left.

    `left`, `right`: distance of the kerbs; `walk`: width of the pavements; `park_left`, `park_right`: parking lanes.
    """

    def __init__(self, seed: int, style: Style, reach: float) -> None:
        rng = np.random.default_rng([seed, 23])
        self.lane = style.lane
        self.park_left = (
            2.1 if rng.random() < (0.9 if style.parked > 0.3 else 0.3) and style.parked > 0 else 0.0
        )
        self.park_right = 2.1 if rng.random() < 0.7 and style.parked > 0 else 0.0
        self.left = style.lane + self.park_left
        self.right = style.lane + self.park_right
        self.walk = style.pavement_width
        self._waves = [
            (
                style.bends * float(rng.uniform(0.2, 0.5)),
                float(rng.uniform(70, 110)),
                float(rng.uniform(0, 6.28)),
            ),
            (
                style.bends * float(rng.uniform(0.05, 0.15)),
                float(rng.uniform(35, 50)),
                float(rng.uniform(0, 6.28)),
            ),
        ]
        self._s = np.arange(-BEHIND, reach + 2.0, 1.0)
        heading = self.heading(self._s + 0.5)
        self._x = np.concatenate([[0.0], np.cumsum(np.cos(heading))[:-1]])
        self._y = np.concatenate([[0.0], np.cumsum(np.sin(heading))[:-1]])

    def heading(self, s: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Direction of the street, radians counter-clockwise from x."""
        total = np.zeros_like(np.asarray(s, float))
        for turn, length, phase in self._waves:
            total = total + turn * np.sin(np.asarray(s) / length + phase)
        return total

    def place(self, s: float | NDArray[np.float64], d: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """World x, y (…×2) at arc length `s`, `d` metres to the left of the centre line."""
        heading = self.heading(s)
        x = np.interp(s, self._s, self._x) - np.sin(heading) * d
        y = np.interp(s, self._s, self._y) + np.cos(heading) * d
        return np.stack(np.broadcast_arrays(x, y), -1)


class Motion:
    """Distance driven as a function of time: a cruising speed that swells and sinks, always forward."""

    def __init__(self, seed: int, style: Style) -> None:
        rng = np.random.default_rng([seed, 37])
        self._speed = style.speed
        self._waves = [
            (0.32, float(rng.uniform(0.35, 0.6)), float(rng.uniform(0, 6.28))),
            (0.22, float(rng.uniform(0.13, 0.25)), float(rng.uniform(0, 6.28))),
        ]

    def speed(self, t: float) -> float:
        """Metres per second at time `t` in seconds."""
        return self._speed * (1.0 + sum(a * np.sin(w * t + p) for a, w, p in self._waves))

    def distance(self, t: float) -> float:
        """Metres driven since t = 0."""
        swell = sum(a / w * (np.cos(p) - np.cos(w * t + p)) for a, w, p in self._waves)
        return self._speed * (t + swell)
