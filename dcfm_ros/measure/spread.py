"""Many measurements in a few numbers: the mean, the extremes and percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Distribution:
    """Mean, extremes and percentiles of the `count` values that are known."""

    count: int
    mean: float
    minimum: float
    maximum: float
    percentiles: dict[int, float]

    @classmethod
    def of(cls, values: Sequence[float]) -> Distribution | None:
        """NaN stands for a value that is not known; None where none is."""
        known = np.asarray([value for value in values if not math.isnan(value)], float)
        if not known.size:
            return None
        marks = dict(zip(PERCENTILES, percentiles(known, PERCENTILES), strict=True))
        return cls(known.size, float(known.mean()), float(known.min()), float(known.max()), marks)

    def as_json(self) -> dict[str, float]:
        """count, mean, min, max, p50, p95, p99."""
        values = {"count": self.count, "mean": self.mean, "min": self.minimum, "max": self.maximum}
        return values | {f"p{p}": value for p, value in self.percentiles.items()}


def percentiles(values: Sequence[float] | np.ndarray, marks: Sequence[float]) -> tuple[float, ...]:
    """The percentiles at `marks`, 0-100, of at least one value."""
    return tuple(float(value) for value in np.percentile(values, marks))
