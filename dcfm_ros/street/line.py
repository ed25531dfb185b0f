"""A line on the ground along which something stands: a front, a fence, a hedge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Line(NamedTuple):
    """From `a` to `b` (x and y, metres): from left to right, seen from the street."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]

    @property
    def length(self) -> float:
        """Metres."""
        return float(np.linalg.norm(self.b - self.a))

    @property
    def along(self) -> NDArray[np.float64]:
        """Unit vector from `a` to `b`."""
        return np.asarray((self.b - self.a) / self.length)

    @property
    def inward(self) -> NDArray[np.float64]:
        """Unit vector away from the street."""
        return np.array([-self.along[1], self.along[0]])

    def strip(self, width: float) -> list[NDArray[np.float64]]:
        """Ground polygon between the line and its parallel `width` metres inward."""
        return [self.a, self.b, self.b + self.inward * width, self.a + self.inward * width]
