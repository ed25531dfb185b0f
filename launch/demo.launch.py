"""The demo: `ros2 launch dcfm_ros demo.launch.py rviz:=true input:=clip.mp4`; it ends when all is played.

It is `dcfm demo` with rviz beside it: a player, the node and a recorder in processes of their own, then a report.
"""

from __future__ import annotations

from launch import LaunchDescription

from dcfm_ros.node.launch_parts import run_to_the_end
from dcfm_ros.node.topics import DEMO

ARGUMENTS = {
    "input": ("", "video, bag, folder of images or camera (/dev/video0); empty: a synthetic street drive"),
    "output": ("demo_out", "folder to write; one that is there already needs arguments:=--force"),
}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return run_to_the_end(command, ARGUMENTS, DEMO)


def command(settings: dict[str, str]) -> list[str]:
    """The words of `dcfm demo`."""
    return ["demo", *([settings["input"]] if settings["input"] else []), "--output", settings["output"]]
