"""The executable `dcfm_points`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dcfm_ros.errors import reason, say
from dcfm_ros.node.ending import Ending


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node until Ctrl-C or SIGTERM, then end the process.

    Exit status 0: ended by a signal. 1: could not start; one line on stderr says why.
    """
    ending = Ending()
    try:
        status = _run(argv, ending)
    except Exception as error:  # of several types: ROS that is missing, or arguments that it cannot read
        say(f"dcfm_points: {reason(error)}", file=sys.stderr)
        status = 1
    ending.leave(status)


def _run(argv: Sequence[str] | None, ending: Ending) -> int:
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from dcfm_ros.node.points.node import PointsNode

    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = PointsNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        ending.spin(executor)
        executor.shutdown(timeout_sec=0)
        node.destroy_node()
    finally:
        rclpy.shutdown()
    return 0


if __name__ == "__main__":
    main()
