"""/diagnostics: statuses as ROS messages, and what only the node knows of its images."""

from __future__ import annotations

import os

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from dcfm_ros.media.diagnostics import HARDWARE_ID, Input, Limits, Status
from dcfm_ros.node.camera import Camera
from dcfm_ros.node.fast_dds import VARIABLES, profile_variable
from dcfm_ros.node.parameters import NodeConfig


def status_message(status: Status) -> DiagnosticStatus:
    """The ROS message of a status."""
    return DiagnosticStatus(
        level=bytes([status.level]),
        name=status.name,
        message=status.message,
        hardware_id=HARDWARE_ID,
        values=[KeyValue(key=key, value=str(value)) for key, value in status.values.items()],
    )


def limits_of(config: NodeConfig) -> Limits:
    """What the parameters call late."""
    return Limits(config.budget_ms, config.over_budget_s, config.input_timeout_s)


def input_of(camera: Camera, config: NodeConfig, *, publishers: int, clock_stands: bool) -> Input:
    """What is known of the publishers of a camera's images."""
    incompatible = (
        f"a publisher of {camera.topic} has a QoS that is incompatible with "
        f"input_reliability={config.input_reliability}; set it to best_effort"
    )
    return Input(
        publishers, incompatible if camera.incompatible_publishers else "", clock_stands, _loss_hint()
    )


def _loss_hint() -> str:
    for variable in VARIABLES:
        if os.environ.get(variable):
            return f"{variable}={os.environ[variable]} is set here; is it set for the camera driver, too?"
    return (
        f"large images need more shared memory: set {profile_variable(os.environ)} to this package's "
        f"config/fastdds.xml, here and for the camera driver"
    )
