"""What `bench/steady.py` measured: the ways to run the common branch, against each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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


MAIN_CASE = "mit_b2"
"""The case that the goals speak of."""
GPU_CASE = "mit_b1_gpu"
"""The one that those for a GPU speak of."""


def load_steady_runs(path: Path) -> dict[str, Steady]:
    """All measured cases by name; none where the file does not exist."""
    if not path.is_file():
        return {}
    return {name: _steady(values) for name, values in json.loads(path.read_text(encoding="utf-8")).items()}


def save_steady_runs(path: Path, runs: Mapping[str, Steady]) -> None:
    """As `load_steady_runs` reads them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {name: asdict(run) for name, run in runs.items()}
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _steady(values: Mapping[str, Any]) -> Steady:
    inline, default = (Way(**values[name]) if values[name] else None for name in ("inline", "default"))
    return Steady(values["title"], tuple(Way(**way) for way in values["ways"]), inline, default)
