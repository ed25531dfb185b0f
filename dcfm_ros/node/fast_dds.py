"""Fast DDS: the shared memory that large images come through, and its profiles for them (config/fastdds.xml).

A participant creates `fastdds_<id>` (before Fast DDS 3 `fastrtps_<id>`) for what it sends, and holds a lock (flock) on
the file `fastdds_<id>_el` beside it for as long as it lives: the kernel gives the lock back, however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path

VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
LARGE, SMALL = "fastdds.xml", "fastdds_small.xml"
"""Side by side in config/: SMALL is for where /dev/shm has no room for several of LARGE's segments."""
_BEFORE_FAST_DDS_3 = ("humble", "iron", "jazzy")

FOLDER = Path("/dev/shm")
SEGMENT_SIZE = 64 << 20
"""Bytes, as config/fastdds.xml asks for."""
PROCESSES = 4
"""They share the memory, with such a segment each: camera driver, node, and whoever listens or records."""
_LOCK = re.compile(r"(fast(?:dds|rtps)_[0-9a-f]{16})_el")
_SETTLED_S = 1.0  # between the creation of a lock's file and its locking


def shortage(folder: Path = FOLDER) -> str:
    """What is lacking and the remedy, "" where there is room for large images."""
    try:
        state = os.statvfs(folder)
        size, free = state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize
    except OSError:
        size = free = 0
    if size >= PROCESSES * SEGMENT_SIZE and free >= SEGMENT_SIZE:
        return ""
    return (
        f"{folder} has {size >> 20} MiB, {free >> 20} of them free: too little shared memory for large images, which may "
        f"get lost; in a container, start it with --shm-size=512m (or --ipc=host)"
    )


def remove_dead_segments(folder: Path = FOLDER) -> int:
    """Remove the segments whose owners have ended without doing so; returns their number.

    Only those whose lock nobody holds and whose owner had the time to take it.
    """
    return sum(_remove_if_dead(lock) for lock in _locks(folder))


def remove_own_segments() -> None:
    """Remove those of this process, which is about to end without giving them back."""
    for file in _entries(Path("/proc/self/fd")):
        with contextlib.suppress(OSError):  # closed meanwhile
            lock = Path(os.readlink(file))
            if lock.parent == FOLDER and _LOCK.fullmatch(lock.name):
                _remove(lock)


def _locks(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if _LOCK.fullmatch(path.name)]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _remove_if_dead(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < _SETTLED_S:
                return False
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock)
    except OSError:  # locked: its owner lives; or another user's, or gone meanwhile
        return False
    return True


def _remove(lock: Path) -> None:
    lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
    lock.unlink(missing_ok=True)


def profile_variable(environment: Mapping[str, str]) -> str:
    """The variable that names the profile. Later distributions read the old one, too: never set both."""
    return VARIABLES[environment.get("ROS_DISTRO") in _BEFORE_FAST_DDS_3]


def profile_setting(
    environment: Mapping[str, str], profile: str | Path, memory: Path = FOLDER
) -> dict[str, str]:
    """What to add to an environment so that processes in it use `profile`: nothing where it names one already."""
    if any(environment.get(variable) for variable in VARIABLES):
        return {}
    return {profile_variable(environment): _fitting(profile, memory)}


def prepare(environment: MutableMapping[str, str], memory: Path = FOLDER) -> list[str]:
    """Make the best of the shared memory that there is, before Fast DDS starts in this process; what to tell of it.

    Removes what dead processes have left in it, and takes small segments where large ones do not fit.
    """
    if not in_use(environment):
        return []
    told = []
    if dead := remove_dead_segments(memory):
        told.append(f"removed shared-memory segments left by dead processes in {memory}: {dead}")
    if lacking := shortage(memory):
        told.append(lacking)
    for variable in VARIABLES:
        if given := environment.get(variable):
            environment[variable] = _fitting(given, memory)
    return told


def in_use(environment: Mapping[str, str]) -> bool:
    """Whether the middleware is Fast DDS, as it is unless another one is named."""
    return "fastrtps" in (environment.get("RMW_IMPLEMENTATION") or "rmw_fastrtps_cpp")


def _fitting(profile: str | Path, memory: Path) -> str:
    """The profile, or the small one in place of ours where that does not fit. A user's own stays."""
    path = Path(profile)
    small = path.with_name(SMALL)
    return str(small if path.name == LARGE and small.is_file() and shortage(memory) else path)
