"""The executable `dcfm_node`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

SPIN_S = 0.1  # how long a signal may go unnoticed
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the node until Ctrl-C or SIGTERM, then end the process.

    Exit status 0: ended by a signal. 1: could not start; one line on stderr says why.
    """
    # Both signals raise KeyboardInterrupt in this thread, wherever it is, from the first import on.
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    status = 0
    try:
        status = _run(argv)
    except KeyboardInterrupt:
        _ignore_signals()
    # The node is part of reference cycles, and DDS frees its shared memory only when the last reference is gone.
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    # All that others can see is closed by now. Shutting down the interpreter and the network's libraries in good order
    # takes another second, or forever if a worker hangs inside the network. Ctrl-C must not wait for that.
    os._exit(status)


def _run(argv: Sequence[str] | None) -> int:
    """Exit status."""
    try:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from dcfm_ros.cache import remove_own_folder
        from dcfm_ros.errors import DcfmError
        from dcfm_ros.node.node import DcfmNode
    except ModuleNotFoundError as error:
        return _refuse(
            f"the node needs ROS 2 and this package built in a workspace; '{error.name}' is not installed"
        )
    try:
        # rclpy's own handlers end the context while the workers still use it; ours let them finish first.
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # of several types: an argument or a parameters file that ROS cannot read
        return _refuse(str(error))
    gc.freeze()  # what has been imported stays: no collection walks through it again, which makes the last one quick
    try:
        node = DcfmNode()
    except DcfmError as error:
        rclpy.logging.get_logger("dcfm").fatal(str(error))
        rclpy.shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    status = 0
    try:
        status = 0 if node.start() else 1
        while status == 0:
            executor.spin_once(timeout_sec=SPIN_S)
    except KeyboardInterrupt:
        pass
    finally:
        _ignore_signals()
        node.close()
        executor.shutdown(timeout_sec=0)
        rclpy.shutdown()
        remove_own_folder()
    return status


def _refuse(reason: str) -> int:
    print(f"dcfm_node: {' '.join(reason.split())}", file=sys.stderr)
    return 1


def _ignore_signals() -> None:
    """Once is enough: nothing may interrupt the way out."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
