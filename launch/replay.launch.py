"""A recording in the loop: `ros2 launch dcfm_ros replay.launch.py input:=drive.mcap report:=out`.

It is `dcfm replay --live` with rviz beside it: the recording is played in real time into the node, what comes out is
recorded, and the report says what was lost and how long it took. It ends when all is played.
"""

from __future__ import annotations

from launch import LaunchDescription

from dcfm_ros.config import truth
from dcfm_ros.node.launch_parts import run_to_the_end
from dcfm_ros.node.topics import REPLAY

ARGUMENTS = {
    "input": (None, "bag, video or folder of images"),
    "report": ("replay_out", "folder to write; one that is there already needs arguments:=--force"),
    "topic": ("", "image topic of a bag with several"),
    "labels": ("", "label topic of the bag, or folder of label images"),
    "sim_time": ("false", "publish /clock, and let the node use it"),
    "loop": ("1", "how often to play; 0: until Ctrl-C"),
}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return run_to_the_end(command, ARGUMENTS, REPLAY)


def command(settings: dict[str, str]) -> list[str]:
    """The words of `dcfm replay --live`."""
    words = ["replay", settings["input"], "--live"]
    words += ["--report", settings["report"], "--loop", settings["loop"]]
    for name in ("topic", "labels"):
        if settings[name]:
            words += [f"--{name}", settings[name]]
    if truth(settings["sim_time"], "sim_time"):
        words.append("--sim-time")
    return words
