"""Masks in space: `ros2 launch dcfm_ros points.launch.py depth:=/camera/aligned_depth_to_color/image_raw image:=/camera/image_raw`.

Every parameter of the node is an argument of this file, too; what is not given comes from `params_file`, else it is the
node's default. `ros2 launch dcfm_ros points.launch.py --show-args` lists all arguments.
"""

from __future__ import annotations

from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node

from dcfm_ros.config import from_text, truth
from dcfm_ros.node.arguments import parameter_files
from dcfm_ros.node.fast_dds import profile_setting
from dcfm_ros.node.launch_parts import SHARE, declared
from dcfm_ros.node.points.parameters import table

TOPICS = {
    "image": ("image", "the camera's images, for the points' colours"),
    "depth": ("depth", "depth images that are registered to the camera's"),
    "points": ("points", "organised cloud that is registered to the camera's images"),
}
ARGUMENTS = {
    **TOPICS,
    "namespace": ("", "namespace of the node: that of dcfm_node, whose mask it reads"),
    "params_file": ("", "YAML file with parameters"),
    "use_sim_time": ("false", "take the time from /clock: simulation, or `ros2 bag play --clock`"),
}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    parameters = {each.name: ("", f"parameter: {each.text}; empty: not set") for each in table()}
    return LaunchDescription([*declared(ARGUMENTS | parameters), OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Any]:
    """The node with what was given."""
    given = context.launch_configurations
    parameters = {
        each.name: from_text(each.config, each.name, given[each.name]) for each in table() if given[each.name]
    }
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in parameters.items()}
    use_sim_time = {"use_sim_time": truth(given["use_sim_time"], "use_sim_time")}
    environment = profile_setting(context.environment, SHARE / "config" / "fastdds.xml")
    node = Node(
        package="dcfm_ros",
        executable="dcfm_points",
        name="dcfm_points",
        namespace=given["namespace"],
        parameters=[*parameter_files(given["params_file"]), use_sim_time | values],
        remappings=[(topic, given[topic]) for topic in TOPICS],
        output="screen",
    )
    return [*(SetEnvironmentVariable(*variable) for variable in environment.items()), node]
