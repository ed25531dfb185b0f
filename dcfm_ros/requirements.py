"""The libraries that a ROS distribution may bring in versions that are too old: told in one line, before any is imported."""

from __future__ import annotations

import importlib.metadata
import re

OLDEST = {"numpy": "1.26", "numba": "0.57", "torch": "2.1"}
"""Package -> the oldest version that does. As in pyproject.toml, which colcon and apt do not read."""


def too_old() -> str:
    """What is installed in a version that is too old, and the remedy, in one line; "" where nothing is."""
    found = {name: _version(name) for name in OLDEST}
    old = [name for name, version in found.items() if version and _numbers(version) < _numbers(OLDEST[name])]
    if not old:
        return ""
    has = ", ".join(f"{name} {found[name]}" for name in old)
    needs = " ".join(f"'{name}>={OLDEST[name]}{',<2' * (name == 'numpy')}'" for name in old)
    return (
        f"{has} is too old for dcfm_ros. In a virtual environment: pip install {needs} (README, On a robot)"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package) or ""
    except importlib.metadata.PackageNotFoundError:
        return ""  # perhaps without a record: importing it will tell


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
