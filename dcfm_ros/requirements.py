"""What libraries cannot do without, told in one line before any is imported: their versions, and room in the process."""

from __future__ import annotations

import importlib.metadata
import re
import resource

OLDEST = {"numpy": "1.26", "numba": "0.57", "torch": "2.1"}
"""Package -> the oldest version that does. As in pyproject.toml, which colcon and apt do not read."""

MIN_ADDRESS_SPACE = 5 << 29


def too_old() -> str:
    """What is installed in a version that is too old, and the remedy, in one line; "" where nothing is."""
    found = {name: _version(name) for name in OLDEST}
    old = [name for name, version in found.items() if version and _numbers(version) < _numbers(OLDEST[name])]
    if not old:
        return ""
    has = ", ".join(f"{name} {found[name]}" for name in old)
    needs = " ".join(f"'{name}>={OLDEST[name]}{',<2' * (name == 'numpy')}'" for name in old)
    return f"too old for dcfm_ros: {has}. In a virtual environment: pip install {needs} (README, On a robot)"


def too_little_room(who: str) -> str:
    """Why libraries would end this process in ways of their own; "" where it may have enough address space."""
    given = resource.getrlimit(resource.RLIMIT_AS)[0]
    if given == resource.RLIM_INFINITY or given >= MIN_ADDRESS_SPACE:
        return ""
    return f"this process may have {given} bytes of address space; {who} needs at least {MIN_ADDRESS_SPACE} (ulimit -v)"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package) or ""
    except importlib.metadata.PackageNotFoundError:
        return ""  # perhaps without a record: importing it will tell


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
