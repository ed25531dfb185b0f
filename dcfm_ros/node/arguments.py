"""What the arguments of the node and of the launch files mean, and what is said of them. Needs neither ROS nor torch."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dcfm_ros.config import from_text
from dcfm_ros.errors import DcfmError, one_line
from dcfm_ros.node.parameters import Parameter, table
from dcfm_ros.strict_yaml import strict_yaml

ROS_ARGUMENTS = "--ros-args"
_EXAMPLE = "--ros-args -r image:=/camera/image_raw -p key_period_ms:=500.0 --params-file mine.yaml"


def describe(parser: argparse.ArgumentParser) -> None:
    """Has the parser's help say which ROS arguments there are."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = f"{parser.prog} [-h] [--ros-args ...]"
    parser.description = "Segment a camera's images, as a ROS 2 node, until Ctrl-C."
    lines = [
        f"  {name}:={default}\n{_indented(text)}" for name, (default, text) in parameter_arguments().items()
    ]
    parser.epilog = (
        f"for example:\n  {parser.prog} {_EXAMPLE}\n\nparameters (-p), with their defaults:\n"
        + "\n".join(lines)
    )


def check(argv: Sequence[str]) -> None:
    """Print the help, or what is wrong with what stands before ROS's arguments, and exit; else do nothing."""
    parser = argparse.ArgumentParser("dcfm_node")
    describe(parser)
    parser.parse_args(before_ros(argv))


def before_ros(argv: Sequence[str]) -> list[str]:
    """The arguments that are not ROS's: those before --ros-args."""
    return list(argv[: argv.index(ROS_ARGUMENTS)] if ROS_ARGUMENTS in argv else argv)


def _indented(text: str) -> str:
    return textwrap.fill(
        text.removeprefix("parameter: "), 100, initial_indent=" " * 6, subsequent_indent=" " * 6
    )


_WILD = {"*": "/[^/]+", "**": "(/[^/]+)*"}


def parameter_arguments() -> dict[str, tuple[str, str]]:
    """An argument for each parameter of the node: name -> (default, description)."""
    return {
        parameter.name: (_default(parameter), f"parameter: {parameter.described}") for parameter in table()
    }


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


def file_parameters(files: Sequence[str], node: str) -> dict[str, Any]:
    """What parameters files say for the node of this full name, as rcl reads them. Raises DcfmError: not YAML."""
    values: dict[str, Any] = {}
    for path in files:
        try:
            document = strict_yaml(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DcfmError(f"params_file '{path}' cannot be read: {one_line(error)}") from error
        for pattern, section in _sections(document, ""):
            if re.fullmatch(pattern, node):
                values.update(section)
    return values


def _sections(tree: Any, pattern: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The sections of a parameters file, each with the pattern of the nodes that it is for: * is a name, ** any."""
    for key, below in tree.items() if isinstance(tree, dict) else ():
        if key == "ros__parameters" and isinstance(below, dict):
            yield pattern, below
        else:
            names = [_WILD.get(word, f"/{re.escape(word)}") for word in str(key).split("/") if word]
            yield from _sections(below, pattern + "".join(names))


def _default(parameter: Parameter) -> str:
    default = parameter.ros_default
    if isinstance(default, bool):
        return str(default).lower()
    return f"[{', '.join(map(str, default))}]" if isinstance(default, list) else str(default)
