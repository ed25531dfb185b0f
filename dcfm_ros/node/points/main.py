"""The executable `dcfm_points`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from dcfm_ros.errors import DcfmError, one_line, say
from dcfm_ros.node.ending import Ending

SPIN_S = 0.1  # how long a signal may go unnoticed


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node until Ctrl-C or SIGTERM, then end the process.

    Exit status 0: ended by a signal. 1: could not start; one line on stderr says why.
    """
    ending = Ending()
    try:
        status = _run(argv, ending)
    except Exception as error:  # of several types: ROS that is missing, or arguments that it cannot read
        message = str(error) if isinstance(error, DcfmError) else f"{type(error).__name__}: {error}"
        say(f"dcfm_points: {one_line(message)}", file=sys.stderr)
        status = 1
    gc.collect()  # DDS frees its shared memory only when the last reference is gone
    sys.stdout.flush()
    sys.stderr.flush()
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
        while not ending.asked:
            executor.spin_once(timeout_sec=SPIN_S)
        executor.shutdown(timeout_sec=0)
        node.destroy_node()
    finally:
        rclpy.shutdown()
    return 0


if __name__ == "__main__":
    main()
