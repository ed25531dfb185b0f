"""The demo: `ros2 launch dcfm_ros demo.launch.py rviz:=true input:=clip.mp4`; it ends when all is played.

It is `dcfm demo` with rviz beside it: a player, the node and a recorder in processes of their own, then a report.
"""

from __future__ import annotations

import shlex

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from dcfm_ros.config import truth
from dcfm_ros.node.launch_parts import declared, run_to_the_end
from dcfm_ros.node.topics import DEMO

ARGUMENTS = {
    "input": ("", "video, bag, folder of images or camera (/dev/video0); empty: a synthetic street drive"),
    "output": ("demo_out", "folder to write; one that is there already needs arguments:=--force"),
    "arguments": ("", "more arguments of `dcfm demo`, in one string"),
    "rviz": ("false", "watch in rviz"),
}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return LaunchDescription([*declared(ARGUMENTS), OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list:
    """The demo, and rviz where it was asked for."""
    settings = {name: context.launch_configurations[name] for name in ARGUMENTS}
    words = ["demo", *([settings["input"]] if settings["input"] else [])]
    words += ["--output", settings["output"], *shlex.split(settings["arguments"])]
    return run_to_the_end(context, words, namespace=DEMO, with_rviz=truth(settings["rviz"], "rviz"))
