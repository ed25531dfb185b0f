"""`dcfm node`: the ROS 2 node, as `ros2 run dcfm_ros dcfm_node` starts it, with or without the command `ros2`."""

from __future__ import annotations

import argparse

from dcfm_ros.node.arguments import describe


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds no option: the arguments are ROS's."""
    describe(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the node and ends the process with it."""
    from dcfm_ros.node.main import main

    main(args.argv[args.argv.index("node") + 1 :])
    return 0
