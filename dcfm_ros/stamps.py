"""ROS stamps (`sec` and `nanosec`) and whole nanoseconds."""

from __future__ import annotations

from typing import Any

NS_PER_S = 1_000_000_000
FRAME_NS = 66_666_667
"""From a frame to the next at 15 Hz."""


def to_ns(stamp: Any) -> int:
    """A `builtin_interfaces/Time`, of rclpy or of a bag, in nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def set_ns(stamp: Any, nanoseconds: int) -> None:
    """The other way round. Beyond what whole seconds can say, the rest stays among the nanoseconds, as it came."""
    stamp.sec = min(nanoseconds // NS_PER_S, 2**31 - 1)
    stamp.nanosec = nanoseconds - stamp.sec * NS_PER_S
