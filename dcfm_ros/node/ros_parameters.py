"""The node's parameters as ROS has them: declared with their descriptors, and every change checked as a whole."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from dcfm_ros.errors import DcfmError
from dcfm_ros.node.parameters import AT_START, UNCONFIGURED, Configuration, Parameter, configuration_of, table

T = TypeVar("T")

# Parameters of rclpy itself, which a parameters file may set, too.
FOREIGN = re.compile(
    r"use_sim_time|start_type_description_service|qos_overrides\./(parameter_events|clock)\..*"
)


class Parameters:
    """Declares the node's parameters, checks every change as a whole and hands on what it accepts."""

    def __init__(self, node: Node, *, on_change: Callable[[Configuration], None]) -> None:
        """on_change: called with the new configuration after each accepted change.

        Raises DcfmError: a start value that is unknown, of the wrong type or out of range.
        """
        self._known = {parameter.name: parameter for parameter in table()}
        self._on_change = on_change
        self.configured = False  # while true, parameters that change only UNCONFIGURED are refused
        self.configuration = declared(node, self._known.values(), configuration_of)
        node.add_on_set_parameters_callback(self._on_set)

    def _on_set(self, changes: Iterable[Any]) -> SetParametersResult:
        before = self.configuration.values
        changed = {change.name: plain(change.value) for change in changes if change.name in self._known}
        try:
            configuration = configuration_of(before | changed)
            for name, value in configuration.values.items():
                if value != before[name]:
                    self._may_change(self._known[name])
        except DcfmError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if configuration != self.configuration:
            self.configuration = configuration
            self._on_change(configuration)
        return SetParametersResult(successful=True)

    def _may_change(self, parameter: Parameter) -> None:
        """Raises DcfmError when it may not change now."""
        if self.configured and parameter.when == UNCONFIGURED:
            raise DcfmError(
                f"{parameter.name} can change only while the node is unconfigured; deactivate it and clean it up "
                f"first (ros2 lifecycle set)"
            )


def declared(node: Node, parameters: Iterable[Parameter], made: Callable[[dict[str, Any]], T]) -> T:
    """Declare the parameters; what `made` makes of their start values.

    Raises DcfmError for one that is unknown, of the wrong type or out of range.
    """
    # ROS ignores start values of parameters that nobody declares, and a misspelled one would go unnoticed.
    given = getattr(node, "_parameter_overrides", {})
    made({name: plain(given[name].value) for name in given if not FOREIGN.fullmatch(name)})
    return made({parameter.name: _declare(node, parameter) for parameter in parameters})


def _declare(node: Node, parameter: Parameter) -> Any:
    try:
        declared = node.declare_parameter(parameter.name, parameter.ros_default, _descriptor(parameter))
    except InvalidParameterValueException as error:
        raise DcfmError(f"parameter {parameter.name}: {error}") from error
    return plain(declared.value)


def plain(value: Any) -> Any:
    """ROS has arrays of numbers where a list is meant."""
    return value.tolist() if isinstance(value, array) else value


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=parameter.text, read_only=parameter.when == AT_START)
    limits, default = parameter.field.metadata, parameter.field.default
    words = ["one of " + ", ".join(limits["choices"])] if limits["choices"] else []
    descriptor.additional_constraints = "; ".join([*words, f"changes {parameter.when}"])
    # Types are checked here, not by rclpy: `ros2 param set ... 2000` is accepted where 2000.0 is meant, and a refusal
    # names the parameter.
    descriptor.dynamic_typing = True
    low, high = limits["low"], limits["high"]
    if isinstance(default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif isinstance(default, int) and not isinstance(default, bool):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor
