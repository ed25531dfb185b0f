"""The executable `dcfm_node`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

SPIN_S = 0.1  # how long a signal may wait to be noticed


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until Ctrl-C or SIGTERM.

    Returns the exit status. 0: ended by a signal. 1: could not start; one line on stderr says why.
    """
    # Both signals raise KeyboardInterrupt in this thread, wherever it is, from the first import on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status, ended = _run(argv)
    except KeyboardInterrupt:
        return 0
    sys.stdout.flush()
    sys.stderr.flush()
    if not ended:
        # A worker is inside the network and cannot be interrupted. Ctrl-C shall not wait for it.
        os._exit(status)
    return status


def _run(argv: Sequence[str] | None) -> tuple[int, bool]:
    """Exit status, and whether all workers have ended."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from dcfm_ros.errors import DcfmError
    from dcfm_ros.node.node import DcfmNode

    # rclpy's own handlers end the context under the workers' feet; ours let them finish first.
    rclpy.init(args=None if argv is None else list(argv), signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = DcfmNode()
    except DcfmError as error:
        rclpy.logging.get_logger("dcfm").fatal(str(error))
        rclpy.shutdown()
        return 1, True
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    status, ended = 0, True
    try:
        status = _start(node)
        while status == 0:
            executor.spin_once(timeout_sec=SPIN_S)
    except KeyboardInterrupt:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # once is enough
        ended = node.close()
        executor.shutdown(timeout_sec=0)
        rclpy.shutdown()
    return status, ended


def _start(node) -> int:
    """Configure and activate when that is asked for. Returns 1 when the node cannot do its work."""
    if not node.parameters.configuration.node.autostart:
        return 0
    node.trigger_configure()
    if node.problem is not None:
        return 1
    node.trigger_activate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
