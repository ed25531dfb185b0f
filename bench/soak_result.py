"""What a soak has found: the schema of bench/results/soak.json, and when memory counts as growing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from soak_book import Tally

from dcfm_ros.config import Size
from dcfm_ros.measure.machine import MachineFacts

FORMAT = "dcfm soak 1"
SAMPLES = 300
"""At most so many in a run: a day's file is no larger than that of ten minutes."""
LIMITS = {"memory": (24.0, "MiB"), "threads": (4.0, ""), "descriptors": (8.0, "")}
"""What -> growth over the second half of the longest life that is too much, and its unit."""
MIN_SAMPLES, MIN_SECONDS = 20, 120.0
"""Samples and seconds of a fit: of less nothing can be said, since a node warms up for a minute or two."""


@dataclass(frozen=True)
class Sample:
    """The node at a moment. life: which of its processes. at_s: since the start. memory: resident, MiB."""

    life: int
    at_s: float
    memory: float
    threads: int
    descriptors: int


@dataclass(frozen=True)
class Growth:
    """The trend of one quantity over the second half of the longest life."""

    what: str
    unit: str
    begin: float
    growth: float
    seconds: float
    limit: float

    @property
    def too_much(self) -> bool:
        """Whether it fails the run."""
        return self.growth > self.limit


@dataclass(frozen=True)
class FaultRow:
    """A Tally and its kind."""

    kind: str
    injected: int
    bad_frames: int
    usable_frames: int
    masks: int
    dropped: int
    nobody_there: int
    unexplained: int

    @classmethod
    def of(cls, kind: str, tally: Tally) -> FaultRow:
        """The row of a kind."""
        return cls(kind, **vars(tally))


@dataclass(frozen=True)
class Soak:
    """All that docs/reliability.md shows. others: cores that other processes kept busy. problems: why it failed."""

    format: str
    command: str
    date: str
    seed: int
    seconds: float
    rate_hz: float
    size: Size
    engine: str
    lives: int
    setups: int
    rows: tuple[FaultRow, ...]
    samples: tuple[Sample, ...]
    growths: tuple[Growth, ...]
    problems: tuple[str, ...]
    others: float
    machine: MachineFacts


def growths(samples: Sequence[Sample]) -> tuple[Growth, ...]:
    """The trends; none where the longest life has too few samples."""
    lives = {sample.life for sample in samples}
    longest = max(([s for s in samples if s.life == life] for life in lives), key=len, default=[])
    half = longest[len(longest) // 2 :]
    if len(half) < MIN_SAMPLES or half[-1].at_s - half[0].at_s < MIN_SECONDS:
        return ()
    seconds = np.array([sample.at_s for sample in half])
    return tuple(_growth(what, seconds, [getattr(sample, what) for sample in half]) for what in LIMITS)


def _growth(what: str, seconds: np.ndarray, values: Sequence[float]) -> Growth:
    limit, unit = LIMITS[what]
    length = float(seconds[-1] - seconds[0])
    y = np.array(values, float)
    # The median of the slopes of all pairs: what comes and goes, as a model that is loaded anew, does not tilt it.
    first, second = np.triu_indices(len(y), 1)
    slope = float(np.median((y[second] - y[first]) / (seconds[second] - seconds[first])))
    begin = float(np.median(y - slope * (seconds - seconds[0])))
    return Growth(what, unit, begin, slope * length, length, limit)
