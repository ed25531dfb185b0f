"""What this process is given, looked at before ROS is: libraries that find out for themselves crash, or end the process."""

from __future__ import annotations

import resource
from collections.abc import Collection, Mapping

from dcfm_ros.requirements import too_little_room

MIN_FILES = 64
MAX_DOMAIN = 232
"""Above that there are no ports."""


def unusable(environment: Mapping[str, str], rmw_installed: Collection[str] = ()) -> str:
    """What keeps the node from starting, and the remedy; "" if nothing.

    rmw_installed: the middlewares that there are, empty where nobody knows.
    """
    return (
        _files()
        or too_little_room("the node")
        or _domain(environment.get("ROS_DOMAIN_ID", ""))
        or _middleware(environment.get("RMW_IMPLEMENTATION", ""), rmw_installed)
        or _security(environment)
    )


def installed_middlewares() -> set[str]:
    """Names that RMW_IMPLEMENTATION may have, as far as they are registered here."""
    try:
        from ament_index_python import get_resources

        return set(get_resources("rmw_typesupport")) - {"rmw_implementation"}
    except (ImportError, OSError):  # OSError: AMENT_PREFIX_PATH is not set
        return set()


def _files() -> str:
    given = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if given == resource.RLIM_INFINITY or given >= MIN_FILES:
        return ""
    return f"this process may have {given} open files; the node needs at least {MIN_FILES} (ulimit -n)"


def _domain(given: str) -> str:
    """What is wrong with the ROS domain: where it is too high, Fast DDS ends the process; -1 is taken for 2⁶⁴ - 1."""
    if not given or (given.isdecimal() and int(given) <= MAX_DOMAIN):
        return ""
    return f"ROS_DOMAIN_ID is {given!r}; it must be a whole number from 0 to {MAX_DOMAIN}"


def _middleware(given: str, installed: Collection[str]) -> str:
    if not given or not installed or given in installed:
        return ""
    return f"RMW_IMPLEMENTATION is {given!r}, which is not installed here; installed: {', '.join(sorted(installed))}"


def _security(environment: Mapping[str, str]) -> str:
    """What to say of a keystore that is not named: rcl's own words are "error not set"."""
    enforced = (
        environment.get("ROS_SECURITY_ENABLE") == "true"
        and environment.get("ROS_SECURITY_STRATEGY") == "Enforce"
    )
    if not enforced or environment.get("ROS_SECURITY_KEYSTORE"):
        return ""
    return (
        "security is enforced (ROS_SECURITY_STRATEGY is Enforce), but ROS_SECURITY_KEYSTORE names no keystore; "
        "name one (`ros2 security create_keystore`), or set ROS_SECURITY_ENABLE to false"
    )
