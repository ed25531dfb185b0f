"""Measurements that are compared: the median and the quartiles of times, and of ratios round by round; and how
both are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dcfm_ros.measure.spread import percentiles
from dcfm_ros.measure.table import NOTHING, number


@dataclass(frozen=True)
class Spread:
    """median, and first and third quartile, of `count` measurements."""

    median: float
    q1: float
    q3: float
    count: int


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


def ms(value: float | None) -> str:
    """Milliseconds with three significant digits, without their unit."""
    return number(value, _three_digits(value))


def times(value: float | None) -> str:
    """A ratio with three significant digits, as in 2.50×."""
    text = number(value, _three_digits(value))
    return text if text == NOTHING else f"{text}×"


def _three_digits(value: float | None) -> str:
    """The format specification; thresholds lie where rounding reaches the next power of ten."""
    if value is None or value < 9.995:
        return ".2f"
    return ".1f" if value < 99.95 else ".0f"
