"""The machine and the software that something was measured with, and how busy it was: numbers without them say nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from dcfm_ros.config import usable_cores
from dcfm_ros.version import __version__

VECTOR_UNITS = [
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_int8",
    "asimd",
    "asimddp",
    "sve",
]
"""The processor's features that decide how fast a network is."""

LIBRARIES = ("torch", "numpy", "onnxruntime", "openvino", "tensorrt", "numba", "rclpy")
DISTRIBUTIONS = {
    "cv2": ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "rclpy": ("rclpy", "ros-rclpy"),
}
"""The packages of modules that are not named like theirs, or have several."""

WORDS = {
    "processor": "Processor",
    "cores": "Cores",
    "memory": "Memory",
    "gpu": "GPU",
    "system": "System",
    "vector_units": "Vector units",
    "threads": "Compute threads",
    "python": "Python",
    "ros": "ROS",
}
"""What people call a fact; the others, which are libraries, are called by their names."""


@dataclass(frozen=True)
class MachineFacts:
    """processor and gpu by name, the cores this process may use, the operating system, and versions.

    "" for what is not there or cannot be found out. threads: of torch on the CPU, 0 where unknown.
    """

    processor: str
    cores: int
    gpu: str
    system: str
    dcfm_ros: str
    python: str
    torch: str
    numpy: str
    opencv: str
    onnxruntime: str = ""
    openvino: str = ""
    tensorrt: str = ""
    numba: str = ""
    rclpy: str = ""
    ros: str = ""
    memory: str = ""
    vector_units: str = ""
    threads: int = 0

    def words(self) -> dict[str, str]:
        """All that is known, by the name that people call it; without a GPU it says so."""
        facts = asdict(self) | {"gpu": self.gpu or "none used (CPU)"}
        order = [*WORDS, *(name for name in facts if name not in WORDS)]
        return {WORDS.get(name, name): str(facts[name]) for name in order if facts[name]}


def this_machine() -> MachineFacts:
    """What the current process runs on."""
    import torch

    features = _cpuinfo("flags", "Features").split()
    return MachineFacts(
        processor=_cpuinfo("model name", "Model") or platform.processor() or platform.machine(),
        cores=usable_cores(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        system=_system(),
        dcfm_ros=__version__,
        python=platform.python_version(),
        opencv=version_of("cv2"),
        ros=os.environ.get("ROS_DISTRO", ""),
        memory=f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        vector_units=", ".join(unit for unit in VECTOR_UNITS if unit in features),
        threads=torch.get_num_threads(),
        **{name: version_of(name) for name in LIBRARIES},
    )


def version_of(module: str) -> str:
    """The version of a module's package, "" where it is not installed."""
    for distribution in DISTRIBUTIONS.get(module, (module,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    # What a system's own packages install may have no record of it, but knows its version once it is imported.
    return str(getattr(sys.modules.get(module), "__version__", ""))


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class OthersLoad:
    """How many cores everything but this process and its children kept busy since this was made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._others = _busy_seconds() - _own_seconds()

    def cores(self) -> float:
        """0 on a machine that is otherwise idle."""
        others = _busy_seconds() - _own_seconds() - self._others
        return max(0.0, others / (time.perf_counter() - self._begin))


def _busy_seconds() -> float:
    """Of all cores together; of a virtual machine with what its host gave to others."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # A guest's time is part of the user's.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - idle - guests)


def _own_seconds() -> float:
    """Of this process, its finished children, and those that still run."""
    me = psutil.Process()
    times = me.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in me.children():
        try:
            spent = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system
    return float(total)


def _cpuinfo(*names: str) -> str:
    """The first of Linux's facts on the processor that has one of these names; "" elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    facts = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in facts if name.strip() in names), "")


def _system() -> str:
    kernel = f"{platform.system()} {platform.release()}, {platform.machine()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


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
