"""The node: `ros2 launch dcfm_ros dcfm.launch.py image_topics:=/camera/image_raw`.

Every parameter of the node is an argument of this file, too; what is not given comes from `params_file`, else it is the
node's default. `ros2 launch dcfm_ros dcfm.launch.py --show-args` lists all arguments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node

from dcfm_ros.node.fast_dds import profile_setting
from dcfm_ros.node.launch_parts import SHARE, declared, is_true, rviz

PROFILE_TEXT = "Fast DDS profile, unless the environment names one; empty: Fast DDS's own settings"
NOT_GIVEN = "(not given)"

ARGUMENTS = {
    "name": ("dcfm", "name of the node"),
    "namespace": ("", "namespace of the node: its relative topics are below it"),
    "params_file": ("", "YAML file with parameters, like config/dcfm.yaml"),
    "odom": ("odom", "odometry topic (nav_msgs/Odometry), for the odometry triggers"),
    "use_sim_time": ("false", "take the time from /clock: simulation, or `ros2 bag play --clock`"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "respawn": ("false", "start the node again when it has ended"),
    "rviz": ("false", "open rviz with the camera, the overlay and the mask"),
}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    defaults = SHARE / "config" / "dcfm.yaml"
    types = {name: type(value) for name, value in read_parameters(defaults).items()}
    texts = read_comments(defaults)
    arguments = {
        **ARGUMENTS,
        **{name: (NOT_GIVEN, f"parameter: {texts[name]}") for name in types},
        "fastdds_profile": (str(SHARE / "config" / "fastdds.xml"), PROFILE_TEXT),
    }
    return LaunchDescription([*declared(arguments), OpaqueFunction(function=start, args=[types])])


def start(context: LaunchContext, types: dict[str, type]) -> list[Any]:
    """The node with what was given, and rviz where it was asked for."""
    profile = context.launch_configurations["fastdds_profile"]
    # For this node and whatever is launched after it: large images need room in shared memory.
    added = profile_setting(context.environment, profile) if profile else {}
    environment = [SetEnvironmentVariable(*variable) for variable in added.items()]
    settings = {name: context.launch_configurations[name] for name in ARGUMENTS}
    use_sim_time = {"use_sim_time": is_true(settings["use_sim_time"])}
    given = {
        name: typed(name, context.launch_configurations[name], kind)
        for name, kind in types.items()
        if context.launch_configurations[name] != NOT_GIVEN
    }
    files = [settings["params_file"]] if settings["params_file"] else []
    node = Node(
        package="dcfm_ros",
        executable="dcfm_node",
        name=settings["name"],
        namespace=settings["namespace"],
        parameters=[*files, use_sim_time, *([given] if given else [])],
        remappings=[("odom", settings["odom"])],
        ros_arguments=["--log-level", settings["log_level"]],
        output="screen",
        respawn=is_true(settings["respawn"]),
        respawn_delay=2.0,
    )
    if not is_true(settings["rviz"]):
        return [*environment, node]
    topics = rviz_topics(settings["namespace"], given.get("image_topics", ["image"]))
    return [*environment, node, rviz(topics, **use_sim_time)]


def rviz_topics(namespace: str, images: list[str]) -> list[tuple[str, str]]:
    """What leads rviz to the first camera: the topics in its configuration are those of a node without namespace."""
    root = "/" + namespace.strip("/") + "/" if namespace.strip("/") else "/"
    topics = [("/image", images[0] if images[0].startswith("/") else root + images[0])]
    return topics + [(f"/segmentation/{name}", f"{root}segmentation/{name}") for name in ("overlay", "mask")]


def typed(name: str, text: str, kind: type) -> Any:
    """An argument's text as the parameter's type; a single word is accepted where a list is meant."""
    if kind is str:
        return text
    value = yaml.safe_load(text)
    if kind is list:
        return value if isinstance(value, list) else [value]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind):
        raise ValueError(f"{name}:={text}: expected a {kind.__name__}")
    return value


def read_parameters(path: Path) -> dict[str, Any]:
    """The parameters of config/dcfm.yaml."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))["/**"]["ros__parameters"]


def read_comments(path: Path) -> dict[str, str]:
    """What config/dcfm.yaml says of each parameter: the comment above it."""
    texts: dict[str, str] = {}
    words: list[str] = []
    for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
        if line.startswith("#"):
            words.append(line.lstrip("#* ").strip())
        else:
            texts[line.partition(":")[0]] = " ".join(words)
            words = []
    return texts
