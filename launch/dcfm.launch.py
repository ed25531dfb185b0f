"""The node: `ros2 launch dcfm_ros dcfm.launch.py image_topics:=/camera/image_raw`.

Every parameter of the node is an argument of this file, too; what is not given comes from `params_file`, else it is the
node's default. `ros2 launch dcfm_ros dcfm.launch.py --show-args` lists all arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node

from dcfm_ros.config import from_mapping, truth
from dcfm_ros.node.arguments import (
    file_parameters,
    given_parameters,
    parameter_arguments,
    parameter_files,
)
from dcfm_ros.node.fast_dds import profile_setting
from dcfm_ros.node.launch_parts import SHARE, declared, rviz
from dcfm_ros.node.parameters import NodeConfig
from dcfm_ros.node.rviz_layout import shown_cameras
from dcfm_ros.node.topics import full_name

PROFILE_TEXT = "Fast DDS profile, unless the environment names one; empty: Fast DDS's own settings"

ARGUMENTS = {
    "name": ("dcfm", "name of the node"),
    "namespace": ("", "namespace of the node: its relative topics are below it"),
    "params_file": ("", "YAML file with parameters, like config/dcfm.yaml"),
    "odom": ("odom", "odometry topic (nav_msgs/Odometry), for the odometry triggers"),
    "use_sim_time": ("false", "take the time from /clock: simulation, or `ros2 bag play --clock`"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "respawn": ("false", "start the node again when it has ended"),
    "rviz": ("false", "open rviz with every camera and its overlay"),
}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    given: dict[str, str] = {}  # what was asked for, before the defaults are filled in
    arguments = {
        **ARGUMENTS,
        **parameter_arguments(),
        "fastdds_profile": (str(SHARE / "config" / "fastdds.xml"), PROFILE_TEXT),
    }
    return LaunchDescription(
        [
            OpaqueFunction(function=lambda context: given.update(context.launch_configurations)),
            *declared(arguments),
            OpaqueFunction(function=start, args=[given]),
        ]
    )


def start(context: LaunchContext, given: Mapping[str, str]) -> list[Any]:
    """The node with what was given, and rviz where it was asked for."""
    profile = context.launch_configurations["fastdds_profile"]
    # For this node and whatever is launched after it: large images need room in shared memory.
    added = profile_setting(context.environment, profile) if profile else {}
    environment = [SetEnvironmentVariable(*variable) for variable in added.items()]
    settings = {name: context.launch_configurations[name] for name in ARGUMENTS}
    use_sim_time = {"use_sim_time": truth(settings["use_sim_time"], "use_sim_time")}
    parameters = given_parameters(given)
    files = parameter_files(settings["params_file"])
    node = Node(
        package="dcfm_ros",
        executable="dcfm_node",
        name=settings["name"],
        namespace=settings["namespace"],
        parameters=[
            *files,
            use_sim_time,
            *([parameters] if parameters else []),
        ],
        remappings=[("odom", settings["odom"])],
        ros_arguments=["--log-level", settings["log_level"]],
        output="screen",
        respawn=truth(settings["respawn"], "respawn"),
        respawn_delay=2.0,
    )
    if not truth(settings["rviz"], "rviz"):
        return [*environment, node]
    namespace, name = settings["namespace"], settings["name"]
    known = file_parameters(files, full_name(name, namespace, name)) | parameters
    config = from_mapping(
        NodeConfig, {key: known[key] for key in ("image_topics", "transport") if key in known}
    )
    cameras = shown_cameras(config.image_topics, namespace=namespace, node=name, transport=config.transport)
    return [*environment, node, rviz(cameras, **use_sim_time)]
