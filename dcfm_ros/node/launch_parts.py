"""What the launch files have in common. Only they import it: `launch` and `launch_ros` come with a ROS installation."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription, logging
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.events.process import ProcessExited
from launch_ros.actions import Node

from dcfm_ros.config import truth
from dcfm_ros.errors import DcfmError
from dcfm_ros.node.fast_dds import profile_setting
from dcfm_ros.node.rviz_layout import ShownCamera, layout, shown_cameras

SHARE = Path(get_package_share_directory("dcfm_ros"))
Arguments = Mapping[str, tuple[str | None, str]]
"""The arguments of a launch file: name -> (default, description); without a default it must be given."""
MORE_TEXT = "more arguments of the command, in one string"
# After Ctrl-C the report of what was played is written, which takes the longer the more that was: launch must not end
# the command meanwhile. Whoever does not want to wait presses Ctrl-C again.
REPORT_PATIENCE_S = 3600.0


def declared(arguments: Arguments) -> list[DeclareLaunchArgument]:
    """The arguments of a launch file."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]


def rviz(cameras: Sequence[ShownCamera], **parameters: Any) -> Node:
    """rviz with panels for these cameras; its layout lies beside the logs of the launch."""
    file = Path(logging.launch_config.log_dir) / "dcfm.rviz"
    file.write_text(
        layout((SHARE / "config" / "dcfm.rviz").read_text(encoding="utf-8"), cameras), encoding="utf-8"
    )
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        arguments=["-d", str(file)],
        parameters=[parameters] if parameters else None,
    )


def _end(event: ProcessExited, context: LaunchContext) -> Shutdown | None:
    """End the launch with its command. Raises DcfmError where that failed: launch ends with exit status 1 then."""
    if event.returncode and not context.is_shutdown:  # by Ctrl-C, say
        raise DcfmError(
            f"`dcfm {event.cmd[1]}` ended with status {event.returncode}; its message is above. An option that it names is "
            f"a launch argument here: `--topic NAME` is `topic:=NAME`; any other goes into `arguments:='--force'`"
        )
    return None if context.is_shutdown else Shutdown(reason="all is played")


def run_to_the_end(
    words: Callable[[dict[str, str]], list[str]], arguments: Arguments, namespace: str
) -> LaunchDescription:
    """The command `dcfm WORDS`; when it ends, so does the launch, and fails with it. With rviz beside it on request.

    words: made from what the arguments are. namespace: of the topics that the command plays and publishes.
    """
    known = {**arguments, "arguments": ("", MORE_TEXT), "rviz": ("false", "watch in rviz")}

    def start(context: LaunchContext) -> list[Any]:
        given = {name: context.launch_configurations[name] for name in known}
        program = Path(get_package_prefix("dcfm_ros")) / "lib" / "dcfm_ros" / "dcfm"
        cmd = [str(program), *words(given), *shlex.split(given["arguments"])]
        command = ExecuteProcess(
            cmd=cmd, output="screen", sigterm_timeout=str(REPORT_PATIENCE_S), on_exit=_end
        )
        if not truth(given["rviz"], "rviz"):
            return [command]
        # The command brings the profile for its own processes; rviz needs it, too.
        added = profile_setting(context.environment, SHARE / "config" / "fastdds.xml")
        simulated = truth(given.get("sim_time", "false"), "sim_time")
        view = rviz(shown_cameras(["image"], namespace=namespace), use_sim_time=simulated)
        return [*(SetEnvironmentVariable(*variable) for variable in added.items()), view, command]

    return LaunchDescription([*declared(known), OpaqueFunction(function=start)])
