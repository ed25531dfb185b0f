"""The parameters as ROS has them: declared like those of `dcfm_node`, and read once."""

from __future__ import annotations

from rclpy.node import Node

from dcfm_ros.config import from_mapping
from dcfm_ros.node.points.parameters import PointsConfig, table
from dcfm_ros.node.ros_parameters import FOREIGN, declare, plain


def declared(node: Node) -> PointsConfig:
    """The configuration that the node was started with.

    Raises DcfmError for a parameter that is unknown, of the wrong type or out of range.
    """
    given = getattr(node, "_parameter_overrides", {})  # ROS ignores those that nobody declares
    from_mapping(
        PointsConfig, {name: plain(given[name].value) for name in given if not FOREIGN.fullmatch(name)}
    )
    return from_mapping(PointsConfig, {parameter.name: declare(node, parameter) for parameter in table()})
