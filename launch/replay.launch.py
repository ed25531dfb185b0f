"""A recording in the loop: `ros2 launch dcfm_ros replay.launch.py input:=drive.mcap report:=out`.

It is `dcfm replay --live` with rviz beside it: the recording is played in real time into the node, what comes out is
recorded, and the report says what was lost and how long it took. It ends when all is played.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.events import Shutdown
from launch_ros.actions import Node

from dcfm_ros.node.fast_dds import profile_setting

SHARE = Path(get_package_share_directory("dcfm_ros"))
NAMESPACE = "/dcfm_replay"
TOPICS = ("image", "segmentation/overlay", "segmentation/mask")
ARGUMENTS = {
    "input": (None, "bag, video or folder of images"),
    "report": ("replay_out", "folder to write"),
    "topic": ("", "image topic of a bag with several"),
    "labels": ("", "label topic of the bag, or folder of label images"),
    "sim_time": ("false", "publish /clock, and let the node go by it"),
    "loop": ("1", "how often to play; 0: until Ctrl-C"),
    "arguments": ("", "more arguments of `dcfm replay`, in one string"),
    "rviz": ("false", "watch in rviz"),
}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, (default, text) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list:
    """The replay, and rviz where it was asked for."""
    settings = {name: context.launch_configurations[name] for name in ARGUMENTS}
    replay = ExecuteProcess(
        cmd=command(settings), output="screen", on_exit=[EmitEvent(event=Shutdown(reason="all is played"))]
    )
    if not _is_true(settings["rviz"]):
        return [replay]
    added = profile_setting(context.environment, SHARE / "config" / "fastdds.xml")
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        arguments=["-d", str(SHARE / "config" / "dcfm.rviz")],
        remappings=[(f"/{topic}", f"{NAMESPACE}/{topic}") for topic in TOPICS],
    )
    return [*(SetEnvironmentVariable(*variable) for variable in added.items()), rviz, replay]


def command(settings: dict[str, str]) -> list[str]:
    """The command line of `dcfm replay --live`."""
    program = str(Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros" / "dcfm")
    words = [
        program,
        "replay",
        settings["input"],
        "--live",
        "--report",
        settings["report"],
        "--loop",
        settings["loop"],
    ]
    for name in ("topic", "labels"):
        if settings[name]:
            words += [f"--{name}", settings[name]]
    if _is_true(settings["sim_time"]):
        words.append("--sim-time")
    return [*words, *settings["arguments"].split()]


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1")
