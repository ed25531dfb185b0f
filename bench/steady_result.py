"""What `bench/steady.py` measured: the ways to run the common branch, against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dcfm_lab.measure.result_file import read_json
from dcfm_lab.measure.spread import ms
from dcfm_ros.config import from_mapping
from dcfm_ros.files import write_json
from dcfm_ros.measure.table import NOTHING, Table, number, percent


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
STEADY_FILE, GPU_STEADY_FILE = "steady.json", "steady_gpu.json"


def load_steady_runs(path: Path) -> dict[str, Steady]:
    """All measured cases by name; none where the file does not exist."""
    content = read_json(path) if path.is_file() else {}
    return {name: from_mapping(Steady, values, name) for name, values in content.items()}


def save_steady_runs(path: Path, runs: Mapping[str, Steady]) -> None:
    """As `load_steady_runs` reads them."""
    write_json({name: asdict(run) for name, run in runs.items()}, path)


def steady_table(run: Steady) -> Table:
    """The ways of one case."""
    p50, p99 = (run.inline.p50_ms, run.inline.p99_ms) if run.inline else (None, None)

    def against(part: float, whole: float | None) -> str:
        return number(part / whole, ".2f") if whole else NOTHING

    return Table.of(
        run.ways,
        (
            ("way", lambda way: way.name),
            *((f"{p}, ms", ms, f"{p}_ms") for p in ("p50", "p95", "p99")),
            ("p99 / p50", lambda way: against(way.p99_ms, way.p50_ms)),
            ("p99 / inline's", lambda way: against(way.p99_ms, p99)),
            ("p50 / inline's", lambda way: against(way.p50_ms, p50)),
            ("dropped", percent, "dropped"),
            ("mean age, frames", number, "age_frames"),
        ),
    )
