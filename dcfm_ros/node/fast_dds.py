"""Fast DDS's profile for large images (config/fastdds.xml), in the variable that the ROS distribution reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_BEFORE_FAST_DDS_3 = ("humble", "iron", "jazzy")


def profile_variable(environment: Mapping[str, str]) -> str:
    """The variable that names the profile. Later distributions read the old one, too: never set both."""
    return VARIABLES[environment.get("ROS_DISTRO") in _BEFORE_FAST_DDS_3]


def profile_setting(environment: Mapping[str, str], profile: str | Path) -> dict[str, str]:
    """What to add to an environment so that processes in it use `profile`: nothing where it names one already."""
    if any(environment.get(variable) for variable in VARIABLES):
        return {}
    return {profile_variable(environment): str(profile)}
