"""What the package's modules log is in the node's log and in /rosout, once."""

import logging
import subprocess
import sys
import threading

import pytest
from processes import SOURCE
from rcl_interfaces.msg import Log
from ros_graph import image, picture, qos, stamp_of

from dcfm_ros.node.node import DcfmNode

MODULE = logging.getLogger("dcfm_ros.some.module")

AFTER_SHUTDOWN = """
import logging, rclpy
from dcfm_ros.node import ros_log
rclpy.init()
node = rclpy.create_node("short")
ros_log.forward(node.get_logger())
node.destroy_node()
rclpy.shutdown()
logging.getLogger("dcfm_ros.late").warning("late words")
print("END")
"""


@pytest.fixture
def log(graph):
    """Everything in /rosout."""
    return graph.probe.listen(Log, "/rosout", qos(durability="transient_local", depth=1000))


def said(graph, log, text, times=1):
    """What this graph's nodes have said with this text in it, once there is so much. Everyone's is in /rosout."""
    space = graph.namespace[1:] + "."

    def found():
        return [e for e in list(log.messages) if text in e.msg and e.name.startswith(space)]

    graph.probe.until(
        lambda: len(found()) >= times, lambda: f"'{text}' in /rosout; it has {log.messages[-5:]}"
    )
    return found()


def test_why_an_engine_was_taken_and_why_a_stream_begins_anew(graph, log, capfd):
    camera, masks = graph.segmenting()
    (entry,) = said(graph, log, "runs on engine torch (asked for)")
    assert entry.level == logging.INFO
    for number in (5, 1):
        camera.publish(image(picture(), stamp_of(number)))
        masks.wait_for(stamp_of(number))
    said(graph, log, "stream reset: the stamps jumped back")
    assert capfd.readouterr().err.count("stream reset") == 1


def test_every_level_from_any_thread(graph, log):
    graph.node(autostart=False)

    def talk():
        for _ in range(2):  # rclpy keeps the level of a caller's first call
            MODULE.debug("words nobody asked for")
            MODULE.info("words of %s", "info")
            MODULE.warning("words of warning")
            MODULE.error("words of error")
            MODULE.critical("words of fatal")

    threads = [threading.Thread(target=talk) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = said(graph, log, "words", 16)
    levels = {(entry.msg.split()[-1], logging.getLevelName(entry.level)) for entry in entries}
    assert levels == {("info", "INFO"), ("warning", "WARNING"), ("error", "ERROR"), ("fatal", "CRITICAL")}


def test_an_error_has_its_traceback(graph, log):
    graph.node(autostart=False)
    try:
        raise ValueError("too green")
    except ValueError:
        MODULE.exception("it went wrong")
    (entry,) = said(graph, log, "it went wrong")
    assert "ValueError: too green" in entry.msg


def test_of_several_nodes_one_tells_it(graph, log, capfd):
    package = logging.getLogger("dcfm_ros")
    before = (package.level, package.propagate, list(package.handlers))
    nodes = [
        DcfmNode(namespace=graph.namespace, cli_args=["--ros-args", "-r", f"__node:={name}"])
        for name in ("one", "two")
    ]
    MODULE.warning("first words")
    assert [entry.name[-4:] for entry in said(graph, log, "first words")] == [".two"]
    nodes[1].close()
    MODULE.warning("second words")
    assert [entry.name[-4:] for entry in said(graph, log, "second words")] == [".one"]
    nodes[0].close()
    assert (package.level, package.propagate, package.handlers) == before
    errors = capfd.readouterr().err
    assert errors.count("first words") == errors.count("second words") == 1


def test_a_library_that_prints_all_logs_prints_none_of_these_again(graph, capfd):
    printer = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(printer)
    try:
        graph.node(autostart=False)
        MODULE.warning("words of warning")
    finally:
        logging.getLogger().removeHandler(printer)
    assert capfd.readouterr().err.count("words of warning") == 1


def test_after_the_end_of_ros_it_still_reaches_the_console():
    done = subprocess.run(
        [sys.executable, "-c", AFTER_SHUTDOWN], cwd=SOURCE, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, "END"), done.stderr
    assert done.stderr.count("late words") == 1 and "Traceback" not in done.stderr
