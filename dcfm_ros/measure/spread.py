"""Many measurements in a few numbers: the median and the quartiles, or the mean, the extremes and percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Spread:
    """median, and first and third quartile, of `count` measurements."""

    median: float
    q1: float
    q3: float
    count: int


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


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    q1, median, q3 = percentiles(values, (25, 50, 75))
    return Spread(median, q1, q3, len(values))


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times faster: the spread of slow[i] / fast[i], measured one after the other in round i.

    Whatever slowed the machine down in a round slowed both down, so these hold where the times do not.
    """
    return spread([a / b for a, b in zip(slow, fast, strict=True)])


def amortised(key: Sequence[float], other: Sequence[float], interval: int) -> list[float]:
    """Per round, the mean over `interval` frames of which one is a key frame."""
    return [(k + (interval - 1) * o) / interval for k, o in zip(key, other, strict=True)]
