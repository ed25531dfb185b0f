"""The machine a measurement was made on: what it is, and what else it did meanwhile."""

from __future__ import annotations

import importlib.metadata
import os
import time
from pathlib import Path

import torch

from dcfm_ros.measure.machine import describe

VECTOR_UNITS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_int8",
    "asimd",
    "asimddp",
    "sve",
)
PACKAGES = ("numba", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "transformers")


def machine() -> dict[str, str]:
    """Processor, vector units, memory, system, threads and versions, as words."""
    facts = describe()
    facts["Vector units"] = ", ".join(unit for unit in VECTOR_UNITS if unit in _flags())
    facts["Compute threads"] = str(torch.get_num_threads())
    for package in PACKAGES:
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {name: fact for name, fact in facts.items() if fact}


class OthersLoad:
    """How many cores everything but this process and its children kept busy since this was made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._busy, self._own = _busy_seconds(), _own_seconds()

    def cores(self) -> float:
        """0 on a machine that is otherwise idle, and where the kernel does not tell."""
        elapsed = time.perf_counter() - self._begin
        others = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return max(0.0, others / elapsed)


def _flags() -> set[str]:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def _busy_seconds() -> float:
    """Of all cores together, from /proc/stat: user, nice, system, irq, softirq and steal (other guests' of the host) time."""
    lines = _lines("/proc/stat")
    if not lines:
        return 0.0
    ticks = [int(word) for word in lines[0].split()[1:9]]
    return (sum(ticks[:3]) + sum(ticks[5:])) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    """Of this process, its finished children and, as far as Linux tells, those that still run."""
    spent = os.times()
    total = spent.user + spent.system + spent.children_user + spent.children_system
    for task in Path("/proc/self/task").glob("*/children"):
        for child in " ".join(_lines(str(task))).split():
            for line in _lines(f"/proc/{child}/stat"):
                user, system = line.rpartition(")")[2].split()[11:13]
                total += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return total


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
