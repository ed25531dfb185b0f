"""Fast DDS's profiles for large images (config/fastdds.xml), in the variable that the ROS distribution reads."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path

from dcfm_ros.node.shared_memory import FOLDER, remove_dead_segments, shortage

VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
LARGE, SMALL = "fastdds.xml", "fastdds_small.xml"
"""Side by side in config/: SMALL is for where /dev/shm has no room for several of LARGE's segments."""
_BEFORE_FAST_DDS_3 = ("humble", "iron", "jazzy")


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
        told.append(f"removed {dead} segments of shared memory that dead processes had left in {memory}")
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
