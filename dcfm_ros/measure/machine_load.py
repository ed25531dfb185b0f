"""What a process used of the machine while it ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LoadSample:
    """time_s: since the run began. cpu_percent: since the sample before, 100 is one core. memory_mb: resident, MiB."""

    time_s: float
    cpu_percent: float
    memory_mb: float


def load_json(samples: Sequence[LoadSample]) -> dict[str, Any]:
    """Mean and peak, for results.json; empty without samples."""
    if not samples:
        return {}
    cpu = [sample.cpu_percent for sample in samples]
    memory = [sample.memory_mb for sample in samples]
    return {
        "MEAN_CPU_UTILIZATION": sum(cpu) / len(cpu),
        "MAX_CPU_UTILIZATION": max(cpu),
        "mean_memory_mb": sum(memory) / len(memory),
        "max_memory_mb": max(memory),
    }
