"""The executable `dcfm_node`."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Sequence

from dcfm_ros.engines.malloc import share_one_heap
from dcfm_ros.errors import one_line, reason, say
from dcfm_ros.interrupts import open_streams
from dcfm_ros.node import environment, fast_dds
from dcfm_ros.node.arguments import check
from dcfm_ros.node.ending import Ending
from dcfm_ros.requirements import too_old


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node until Ctrl-C or SIGTERM, then end the process.

    argv: ROS's arguments, those of the command line by default.
    Exit status 0: ended by a signal. 1: could not start; one line on stderr says why. 2: an argument that is not ROS's.
    """
    open_streams()
    check(sys.argv[1:] if argv is None else argv)
    share_one_heap()
    ending = Ending()
    status = _run(argv, ending)
    ending.leave(status)


def _run(argv: Sequence[str] | None, ending: Ending) -> int:
    """Exit status."""
    if problem := too_old() or environment.unusable(os.environ, environment.installed_middlewares()):
        return _refuse(problem)
    try:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from dcfm_ros.cache import remove_own_folder
        from dcfm_ros.node.node import DcfmNode
    except ModuleNotFoundError as error:
        return _refuse(
            f"the node needs ROS 2 and this package built in a workspace; '{error.name}' is not installed"
        )
    except Exception as error:  # a library that is broken, or has no room
        return _refuse(f"cannot be loaded: {reason(error)}")
    told = fast_dds.prepare(os.environ)  # Fast DDS reads it when the context starts
    try:
        # rclpy's own handlers end the context while the workers still use it; ours let them finish first.
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # of several types: an argument or a parameters file that ROS cannot read
        return _refuse(str(error))
    log = rclpy.logging.get_logger("dcfm")
    for line in told:
        log.warning(line)
    # What rclpy warns of when a node cannot be made; why it cannot follows in a line of ours.
    warnings.filterwarnings("ignore", "Failed to fini rosout publisher", RuntimeWarning)
    gc.freeze()  # what has been imported stays: no collection walks through it again, which makes the last one quick
    try:
        node = DcfmNode()
    except Exception as error:  # also of ROS's own: one of rclpy's parameters with a value of another type
        log.fatal(reason(error))
        rclpy.shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        status = 0 if node.start() else 1
        if status == 0:
            ending.spin(executor)
    finally:
        node.close()
        executor.shutdown(timeout_sec=0)
        rclpy.shutdown()
        remove_own_folder()
    return status


def _refuse(why: str) -> int:
    say(f"dcfm_node: {one_line(why)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
