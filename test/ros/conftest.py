"""What the tests of the node share. ROS is imported inside the fixtures: this file is read where ROS is missing, too."""

import os
from pathlib import Path

import pytest

# Large images between processes need more shared memory than Fast DDS takes by itself.
PROFILE = Path(__file__).resolve().parents[2] / "config" / "fastdds.xml"
os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(PROFILE))


@pytest.fixture(scope="session")
def ros():
    """rclpy, started for the whole session and ended after it."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    yield rclpy
    rclpy.try_shutdown()


@pytest.fixture(scope="session")
def weights(random_weights):
    """A small random model whose masks have several classes."""
    return random_weights(3, name="random", input_size=(96, 64), licence="test")


@pytest.fixture
def graph(ros, weights):
    """A ROS graph of its own: nodes in this process, and one that plays cameras and listens."""
    from ros_graph import Graph

    with Graph(weights) as graph:
        yield graph
