"""The machine a run was measured on, in words: numbers without it say nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from dcfm_ros import __version__

_PACKAGES = ("torch", "numpy", "opencv-python-headless", "ros-rclpy")


def describe() -> dict[str, str]:
    """Processor, memory, GPU, system and versions; what cannot be found out is left out."""
    facts = {
        "Processor": _processor(),
        "Cores": str(len(os.sched_getaffinity(0))),
        "Memory": _memory(),
        "GPU": _gpu(),
        "System": _system(),
        "Python": platform.python_version(),
        "dcfm_ros": __version__,
    }
    for package in _PACKAGES:
        try:
            facts[package.removeprefix("ros-")] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if os.environ.get("ROS_DISTRO"):
        facts["ROS"] = os.environ["ROS_DISTRO"]
    return {name: fact for name, fact in facts.items() if fact}


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return f"{int(line.split()[1]) / 2**20:.1f} GiB"
    return ""


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none used (CPU)"
    return torch.cuda.get_device_name()


def _system() -> str:
    for line in _lines("/etc/os-release"):
        if line.startswith("PRETTY_NAME="):
            return f"{line.partition('=')[2].strip().strip(chr(34))}, Linux {platform.release()}, {platform.machine()}"
    return f"{platform.system()} {platform.release()}, {platform.machine()}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
