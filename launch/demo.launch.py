"""The demo: `ros2 launch dcfm_ros demo.launch.py rviz:=true input:=clip.mp4`; it ends when all is played.

It is `dcfm demo` with rviz beside it: a player, the node and a recorder in processes of their own, then a report.
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
NAMESPACE = "/dcfm_demo"
TOPICS = ("image", "segmentation/overlay", "segmentation/mask")
ARGUMENTS = {
    "input": ("", "video, bag, folder of images or camera (/dev/video0); empty: a synthetic street drive"),
    "output": ("demo_out", "folder to write"),
    "arguments": ("", "more arguments of `dcfm demo`, in one string"),
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
    """The demo, and rviz where it was asked for."""
    settings = {name: context.launch_configurations[name] for name in ARGUMENTS}
    command = [str(Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros" / "dcfm"), "demo"]
    command += [settings["input"]] if settings["input"] else []
    command += ["--output", settings["output"], *settings["arguments"].split()]
    demo = ExecuteProcess(
        cmd=command, output="screen", on_exit=[EmitEvent(event=Shutdown(reason="all is played"))]
    )
    if settings["rviz"].lower() not in ("true", "1"):
        return [demo]
    added = profile_setting(context.environment, SHARE / "config" / "fastdds.xml")
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        arguments=["-d", str(SHARE / "config" / "dcfm.rviz")],
        remappings=[(f"/{topic}", f"{NAMESPACE}/{topic}") for topic in TOPICS],
    )
    return [*(SetEnvironmentVariable(*variable) for variable in added.items()), rviz, demo]
