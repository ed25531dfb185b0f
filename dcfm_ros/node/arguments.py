"""What `dcfm_node` and `dcfm node` say of their arguments, all of which are ROS's. Needs neither ROS nor torch."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from dcfm_ros.node.launch_values import parameter_arguments

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
