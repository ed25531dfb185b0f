"""What the arguments of the launch files mean. Needs no ROS: they are read as the node reads its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcfm_ros.config import from_text
from dcfm_ros.errors import DcfmError
from dcfm_ros.node.parameters import Parameter, table


def parameter_arguments() -> dict[str, tuple[str, str]]:
    """An argument for each parameter of the node: name -> (default, description)."""
    return {parameter.name: (_default(parameter), _described(parameter)) for parameter in table()}


def given_parameters(given: Mapping[str, str]) -> dict[str, Any]:
    """Those of the arguments that are parameters of the node, as values for ROS; a single word does as a list.

    given: only what was asked for, since a default would win over `params_file`. Raises DcfmError, naming the argument,
    for a value that its parameter cannot have.
    """
    values = {
        parameter.name: from_text(parameter.config, parameter.name, given[parameter.name])
        for parameter in table()
        if parameter.name in given
    }
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def parameter_files(params_file: str) -> list[str]:
    """The parameters file to start the node with, if one is named. Raises DcfmError where it does not exist."""
    if not params_file:
        return []
    path = Path(params_file).expanduser()
    if not path.is_file():
        raise DcfmError(
            f"params_file '{params_file}' does not exist; give the path of a file like config/dcfm.yaml, or leave it out"
        )
    return [str(path)]


def _default(parameter: Parameter) -> str:
    default = parameter.ros_default
    if isinstance(default, bool):
        return str(default).lower()
    return f"[{', '.join(map(str, default))}]" if isinstance(default, list) else str(default)


def _described(parameter: Parameter) -> str:
    return f"parameter: {parameter.text}" + (f" ({parameter.allowed})" if parameter.allowed else "")
