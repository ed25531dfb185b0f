"""ROS parameters made from the dataclasses that hold the defaults, and back.

A parameter's name, default, description and range are a dataclass field's and its metadata's: "help", "min", "max",
"choices" and for the node's own also "when" it may change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.config import StreamConfig

RELIABILITIES = ("best_effort", "reliable")
TRANSPORTS = ("raw", "compressed")

# When a parameter may change.
ANY_TIME = "at any time"
UNCONFIGURED = "while the node is unconfigured"
AT_START = "at the start only"


def _setting(default: Any, text: str, when: str = UNCONFIGURED, **limits: Any) -> Any:
    return field(default=default, metadata={"help": text, "when": when, **limits})


@dataclass(frozen=True)
class NodeConfig:
    """What only the node knows: where frames come from and what is told about them.

    Raises DcfmError, naming the field, for a value that makes no sense.
    """

    weights: str = _setting("", "weights file (.safetensors); empty: the model that comes with the package")
    autostart: bool = _setting(
        True, "configure and activate at the start; false: a lifecycle manager does that", AT_START
    )
    image_topics: tuple[str, ...] = _setting(
        ("image",),
        "image topics, a camera each; with several, outputs are <camera namespace>/segmentation/...",
    )
    transport: str = _setting(
        "raw",
        "raw: sensor_msgs/Image; compressed: sensor_msgs/CompressedImage from <topic>/compressed",
        choices=TRANSPORTS,
    )
    input_reliability: str = _setting(
        "best_effort",
        "reliability of the image subscriptions; best_effort receives from every publisher",
        choices=RELIABILITIES,
    )
    input_depth: int = _setting(
        1,
        "frames that may wait; 1: always the newest, for robots; more, with reliable: every frame, to record",
        min=1,
        max=1000,
    )
    overlay_alpha: float = _setting(
        0.5, "opacity of the class colours in the overlay", ANY_TIME, min=0.0, max=1.0
    )
    overlay_legend: bool = _setting(True, "name the classes in view in the overlay", ANY_TIME)
    diagnostics_period_s: float = _setting(
        1.0, "seconds from one /diagnostics to the next", min=0.1, max=60.0
    )
    input_timeout_s: float = _setting(
        2.0, "diagnostics: no image for this many seconds is an error", ANY_TIME, min=0.1, max=3600.0
    )
    budget_ms: float = _setting(
        200.0,
        "diagnostics: a mean frame time above this many ms is a warning",
        ANY_TIME,
        min=0.1,
        max=60000.0,
    )
    over_budget_s: float = _setting(
        10.0, "diagnostics: over budget for this many seconds is an error", ANY_TIME, min=0.0, max=3600.0
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item.name, getattr(self, item.name), item.metadata)
        if not self.image_topics or not all(self.image_topics):
            raise DcfmError("image_topics needs at least one topic, and none of them empty")
        if len(set(self.image_topics)) != len(self.image_topics):
            raise DcfmError(f"image_topics names a topic twice: {', '.join(self.image_topics)}")


def _check(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    choices, low, high = limits.get("choices"), limits.get("min", -math.inf), limits.get("max", math.inf)
    if choices and value not in choices:
        raise DcfmError(f"{name} is {value!r}; expected one of {', '.join(choices)}")
    if isinstance(value, (int, float)) and not low <= value <= high:
        raise DcfmError(f"{name} is {value}; expected {low:g} to {high:g}")


@dataclass(frozen=True)
class Configuration:
    """All parameters of the node, in the form that the rest of it uses."""

    node: NodeConfig
    stream: StreamConfig
    engine: EngineConfig


@dataclass(frozen=True)
class Parameter:
    """One ROS parameter."""

    name: str
    default: Any  # as the dataclass has it
    text: str
    when: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def ros_default(self) -> Any:
        """Tuples are lists."""
        return list(self.default) if isinstance(self.default, tuple) else self.default


GROUPS: dict[str, tuple[type, str]] = {
    "node": (NodeConfig, UNCONFIGURED),
    "stream": (StreamConfig, ANY_TIME),
    "engine": (EngineConfig, UNCONFIGURED),
}
NOT_PARAMETERS = {"phase"}  # chosen by the node, a different one for each camera
# Parameters of rclpy itself, which a parameters file may set, too.
FOREIGN = re.compile(
    r"use_sim_time|start_type_description_service|qos_overrides\./(parameter_events|clock)\..*"
)


def group(name: str) -> list[Parameter]:
    """The parameters of one of GROUPS, in the order of its dataclass."""
    config, when = GROUPS[name]
    return [
        Parameter(
            item.name,
            item.default,
            item.metadata["help"],
            item.metadata.get("when", when),
            item.metadata.get("min"),
            item.metadata.get("max"),
            item.metadata.get("choices", ()),
        )
        for item in fields(config)
        if item.name not in NOT_PARAMETERS
    ]


def table() -> list[Parameter]:
    """Every parameter of the node."""
    return [parameter for name in GROUPS for parameter in group(name)]


class Parameters:
    """Declares the node's parameters, checks every change as a whole and hands on what it accepts."""

    def __init__(self, node: Node, *, on_change: Callable[[Configuration], None]) -> None:
        """
        Args:
            on_change: called with the new configuration after each accepted change.

        Raises:
            DcfmError: a start value that is unknown, of the wrong type or out of range.
        """
        self._known = {parameter.name: parameter for parameter in table()}
        self._on_change = on_change
        self.configured = False  # while true, parameters that change only UNCONFIGURED are refused
        _refuse_unknown(node, self._known)
        self._values = {name: _declare(node, parameter) for name, parameter in self._known.items()}
        self.configuration = _configuration(self._values)
        node.add_on_set_parameters_callback(self._on_set)

    def _on_set(self, changes: Iterable[Any]) -> SetParametersResult:
        values = dict(self._values)
        try:
            for change in changes:
                if change.name in self._known:
                    values[change.name] = self._changed(change.name, change.value)
            configuration = _configuration(values)
        except DcfmError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if configuration != self.configuration:
            self._values, self.configuration = values, configuration
            self._on_change(configuration)
        return SetParametersResult(successful=True)

    def _changed(self, name: str, value: Any) -> Any:
        """The new value as the dataclass wants it. Raises DcfmError when it may not change now."""
        parameter = self._known[name]
        value = _field_value(parameter, value)
        if self.configured and parameter.when == UNCONFIGURED and value != self._values[name]:
            raise DcfmError(
                f"{name} can change only while the node is unconfigured; deactivate it and clean it up first "
                f"(ros2 lifecycle set)"
            )
        return value


def _configuration(values: Mapping[str, Any]) -> Configuration:
    """Raises DcfmError, naming the parameter, for a value that makes no sense."""
    return Configuration(
        **{
            name: config(**{item.name: values[item.name] for item in group(name)})
            for name, (config, _) in GROUPS.items()
        }
    )


def _refuse_unknown(node: Node, known: Mapping[str, Parameter]) -> None:
    """ROS ignores start values of parameters that nobody declares, and a typing error would go unnoticed."""
    given = getattr(node, "_parameter_overrides", {})
    unknown = [name for name in given if name not in known and not FOREIGN.fullmatch(name)]
    if unknown:
        raise DcfmError(
            f"unknown parameter {', '.join(map(repr, unknown))}; known: {', '.join(sorted(known))}"
        )


def _declare(node: Node, parameter: Parameter) -> Any:
    """Declare one parameter; its start value as the dataclass wants it."""
    try:
        declared = node.declare_parameter(parameter.name, parameter.ros_default, _descriptor(parameter))
    except InvalidParameterValueException as error:
        raise DcfmError(f"parameter {parameter.name}: {error}") from error
    return _field_value(parameter, declared.value)


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=parameter.text, read_only=parameter.when == AT_START)
    words = ["one of " + ", ".join(parameter.choices)] if parameter.choices else []
    descriptor.additional_constraints = "; ".join([*words, f"changes {parameter.when}"])
    # Types are checked here, not by rclpy: `ros2 param set ... 2000` is accepted where 2000.0 is meant, and a refusal
    # names the parameter.
    descriptor.dynamic_typing = True
    low, high = parameter.low, parameter.high
    if low is None or high is None:
        return descriptor
    if isinstance(parameter.default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif isinstance(parameter.default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor


KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _field_value(parameter: Parameter, value: Any) -> Any:
    """A ROS parameter's value as its field has it. Raises DcfmError for one of another type."""
    default = parameter.default
    if not isinstance(default, tuple):
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if type(value) is type(default):
            return value
        raise DcfmError(f"{parameter.name} is {value!r}; expected {KINDS[type(default)]}")
    kind = type(default[0])
    items = () if value is None or isinstance(value, (str, bytes, bool, int, float)) else tuple(value)
    if items and all(type(item) is kind for item in items):
        return items
    raise DcfmError(f"{parameter.name} is {value!r}; expected a list, each of its items {KINDS[kind]}")
