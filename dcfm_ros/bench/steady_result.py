"""What `bench/steady.py` measured: the ways to run the common branch, against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Way:
    """One way. dropped: share of the frames, 0-1. age_frames: mean age of the common feature in use."""

    name: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    dropped: float
    age_frames: float


@dataclass(frozen=True)
class Steady:
    """inline and default: those of the ways that the goals speak of."""

    title: str
    ways: tuple[Way, ...]
    inline: Way | None
    default: Way | None


def load_steady(path: Path) -> Steady | None:
    """None where the file does not exist."""
    return None
