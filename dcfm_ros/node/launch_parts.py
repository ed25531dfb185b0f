"""What the launch files have in common. Only they import it: `launch` and `launch_ros` come with a ROS installation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, SetEnvironmentVariable
from launch.events import Shutdown
from launch_ros.actions import Node

from dcfm_ros.node.fast_dds import profile_setting

SHARE = Path(get_package_share_directory("dcfm_ros"))
# After Ctrl-C the report of what was played is written, which takes the longer the more that was: launch must not end
# the command meanwhile. Whoever does not want to wait presses Ctrl-C again.
REPORT_PATIENCE_S = 3600.0


def declared(arguments: Mapping[str, tuple[str | None, str]]) -> list[DeclareLaunchArgument]:
    """Arguments of a launch file: name -> (default, description); without a default it must be given."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]


def rviz(remappings: Sequence[tuple[str, str]], **parameters: Any) -> Node:
    """rviz with this package's view of a camera, whose topics are /image, /segmentation/overlay and /segmentation/mask."""
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        arguments=["-d", str(SHARE / "config" / "dcfm.rviz")],
        parameters=[parameters] if parameters else None,
        remappings=remappings,
    )


def run_to_the_end(
    context: LaunchContext, words: Sequence[str], *, namespace: str, with_rviz: bool, **rviz_parameters: Any
) -> list[Any]:
    """The command `dcfm WORDS`; when it ends, so does the launch. With rviz beside it where that is asked for.

    Args:
        namespace: of the topics that the command plays and publishes.
        rviz_parameters: of the node that rviz is.
    """
    program = Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros" / "dcfm"
    command = ExecuteProcess(
        cmd=[str(program), *words],
        output="screen",
        sigterm_timeout=str(REPORT_PATIENCE_S),
        on_exit=[EmitEvent(event=Shutdown(reason="all is played"))],
    )
    if not with_rviz:
        return [command]
    # The command brings the profile for its own processes; rviz needs it, too.
    added = profile_setting(context.environment, SHARE / "config" / "fastdds.xml")
    topics = ("image", "segmentation/overlay", "segmentation/mask")
    return [
        *(SetEnvironmentVariable(*variable) for variable in added.items()),
        rviz([(f"/{topic}", f"{namespace}/{topic}") for topic in topics], **rviz_parameters),
        command,
    ]
