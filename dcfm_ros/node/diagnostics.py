"""/diagnostics: statuses as ROS messages, and what only the node knows of its images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from dcfm_ros.errors import one_line
from dcfm_ros.media.diagnostics import HARDWARE_ID, Input, Limits, Status
from dcfm_ros.node.fast_dds import VARIABLES, in_use, profile_variable, shortage
from dcfm_ros.node.parameters import NodeConfig
from dcfm_ros.node.topics import COMPRESSED, RAW

if TYPE_CHECKING:  # dcfm_points, which reports here, too, needs no network
    from dcfm_ros.node.camera import Camera


def status_message(status: Status, hardware_id: str = HARDWARE_ID) -> DiagnosticStatus:
    """The ROS message of a status."""
    return DiagnosticStatus(
        level=bytes([status.level]),
        name=status.name,
        message=one_line(status.message),
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=one_line(value)) for key, value in status.values.items()],
    )


def limits_of(config: NodeConfig) -> Limits:
    """What the parameters call late."""
    return Limits(config.budget_ms, config.over_budget_s, config.input_timeout_s)


def input_of(
    camera: Camera,
    config: NodeConfig,
    *,
    kinds: Sequence[str],
    clock_stands: bool = False,
    no_clock: bool = False,
) -> Input:
    """What is known of the publishers of a camera's images. kinds: the message type of each."""
    incompatible = ""
    other = next((kind for kind in kinds if kind != camera.kind), None)
    if other is not None and camera.kind not in kinds:
        incompatible = f"{camera.topic} is {other}, not {camera.kind}{_transport_hint(config, other)}"
    elif camera.incompatible_publishers:
        incompatible = (
            f"a publisher of {camera.topic} has a QoS that is incompatible with "
            f"input_reliability={config.input_reliability}; set it to best_effort"
        )
    lacking = shortage() if in_use(os.environ) else ""
    return Input(len(kinds), incompatible, clock_stands, no_clock, lacking or _loss_hint(), lacking)


def _transport_hint(config: NodeConfig, kind: str) -> str:
    """What to do about images of this type."""
    if config.transport == "raw" and kind == COMPRESSED:
        return "; set transport to compressed and image_topics to the name without /compressed"
    if config.transport == "compressed" and kind == RAW:
        return "; set transport to raw"
    return "; image_topics must name a topic of images"


def _loss_hint() -> str:
    for variable in VARIABLES:
        if os.environ.get(variable):
            return f"{variable}={os.environ[variable]} is set here; is it set for the camera driver, too?"
    return (
        f"large images need more shared memory: set {profile_variable(os.environ)} to this package's "
        f"config/fastdds.xml, here and for the camera driver"
    )
