"""The bond that a lifecycle manager such as nav2's forms with an active node: heartbeats, and a word when they end.

The protocol of the package `bond`, of which the node takes the message alone: a manager watches its nodes, and these do
nothing when the manager goes, so that there is nothing to listen to.
"""

from __future__ import annotations

import uuid
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

try:
    from bond.msg import Status
except ImportError:
    Status = None

TOPIC = "bond"
PERIOD_S, TIMEOUT_S = 0.25, 4.0  # as nav2's own nodes have them
DEPTH = 5  # of heartbeats that wait: all nodes of a manager share the topic


class Bond:
    """Formed with whoever listens for the node's name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._instance = ""  # of the present activation; "": inactive
        self._publisher = node.create_publisher(Status, TOPIC, DEPTH)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # a paused simulation does not break it
        self._timer = node.create_timer(PERIOD_S, lambda: self._say(active=True), clock=steady)
        self._timer.cancel()

    def hold(self, active: bool) -> None:
        """Formed while the node is active, broken as soon as it is not."""
        if active == bool(self._instance):
            return
        if active:
            self._instance = str(uuid.uuid4())  # a broken bond is never formed again
            self._timer.reset()
        else:
            self._timer.cancel()
        self._say(active=active)
        if not active:
            self._instance = ""

    def destroy(self) -> None:
        """Break it and leave the graph."""
        self.hold(False)
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _say(self, *, active: bool) -> None:
        status: Any = Status(id=self._node.get_name(), instance_id=self._instance, active=active)
        status.header.stamp = self._node.get_clock().now().to_msg()
        status.heartbeat_period, status.heartbeat_timeout = PERIOD_S, TIMEOUT_S
        self._publisher.publish(status)
