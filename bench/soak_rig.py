"""A soak's running node, and the camera, listener and services around it. One thread does everything in turn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from soak_book import Book, Counts
from soak_pictures import calibration, good
from soak_process import Watched, time_is_up
from soak_schedule import CALM
from std_srvs.srv import SetBool, Trigger

from dcfm_ros.config import Size
from dcfm_ros.errors import DcfmError
from dcfm_ros.node.publish import reliable
from dcfm_ros.replay.live.processes import ChildProcesses, child_environment
from dcfm_ros.share import share_path
from dcfm_ros.stamps import set_ns, to_ns

FRAME_ID = "camera"
PATIENCE_S = 120.0  # an engine that is loaded while the machine does something else
ASK_AGAIN_S = 2.0
DEPTH = 10
NEAR_NS = 60 * 10**9
"""Stamps that are further off are those of a fault."""


@dataclass(frozen=True)
class Plan:
    """What is sent, and what runs. period_s: between two samples of memory. parameters: further ones of the node."""

    rate_hz: float
    size: Size
    period_s: float
    parameters: tuple[tuple[str, str], ...] = ()


class Rig:
    """The node's process and everything that talks to it; whatever waits here keeps sending frames meanwhile."""

    def __init__(self, plan: Plan, folder: Path, children: ChildProcesses) -> None:
        self.plan, self.fault, self.compressed = plan, CALM, False
        self.book = Book(self.now)
        self.setups, self.engine = 0, ""
        self.node = Node("soak")
        self.folder = folder
        self.process = Watched(folder, children, self.book, plan.period_s)
        self._begin = self._due = time.monotonic()
        self.last_stamp_ns = 0
        self._number, self._last_mask_ns = 0, 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._images: dict[bool, Any] = {}
        self._infos = self.node.create_publisher(CameraInfo, "camera_info", reliable(DEPTH, latched=True))
        self.odometry = self.node.create_publisher(Odometry, "odom", reliable(DEPTH))
        self.node.create_subscription(Image, "segmentation/mask", self._on_mask, reliable(100))
        self.node.create_subscription(
            CameraInfo, "segmentation/camera_info", lambda info: None, reliable(100)
        )
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, reliable(100))
        client = self.node.create_client
        self.change_state = client(ChangeState, "dcfm/change_state")
        self.set_parameters = client(SetParameters, "dcfm/set_parameters")
        self.refresh = client(Trigger, "dcfm/refresh")
        self.enable = client(SetBool, "dcfm/enable")
        # The last: whoever answers it has met the others.
        self._get_state = client(GetState, "dcfm/get_state")
        self.connect()

    # -- the node ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the node's process, and wait for its first mask."""
        self.setups += 1
        values = {
            "diagnostics_period_s": "0.5",
            "input_reliability": "reliable",
            "input_depth": str(DEPTH),
            "odometry_distance_m": "1.0",
            "transport": "compressed" if self.compressed else "raw",
            **dict(self.plan.parameters),
        }
        self.process.start(values)
        self.reach("active")
        self.comes_back()

    def kill(self) -> None:
        """End it as the kernel does when memory is short, and start it again."""
        self.book.goes_away()
        self.process.kill(self.fault)
        self.spin(1.0)  # what it had sent is here by now
        self.book.settle()
        self.start()

    def change(self, transition: int, state: str) -> None:
        """A transition of the lifecycle, and wait until it is done."""
        self.call(self._get_state, GetState.Request())
        request = ChangeState.Request()
        request.transition.id = transition
        self.change_state.call_async(request)
        self.reach(state)

    def reach(self, state: str) -> None:
        """Wait until the node is in this state."""
        while self.call(self._get_state, GetState.Request()).current_state.label != state:
            self.frame()

    def call(self, client: Any, request: Any) -> Any:
        """The answer of a service that may be asked twice."""
        futures: list[Any] = []
        asked = 0.0

        def answer() -> Any:
            nonlocal asked
            if client.service_is_ready() and time.monotonic() > asked + ASK_AGAIN_S:
                asked = time.monotonic()
                futures.append(client.call_async(request))
            return next((future for future in futures if future.done()), None)

        self.until(lambda: answer() is not None, f"an answer of {client.srv_name}")
        result = answer().result()
        for future in futures:
            client.remove_pending_request(future)
        return result

    # -- the camera -------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Plug the camera in."""
        self._images = {
            False: self.node.create_publisher(Image, "image", reliable(DEPTH)),
            True: self.node.create_publisher(CompressedImage, "image/compressed", reliable(DEPTH)),
        }

    def disconnect(self) -> None:
        """Unplug it."""
        for publisher in self._images.values():
            self.node.destroy_publisher(publisher)

    def frame(
        self,
        *,
        stamp_ns: int | None = None,
        frame_id: str = FRAME_ID,
        size: Size | None = None,
        info: CameraInfo | None = None,
        wait: bool = True,
    ) -> None:
        """Send a frame that can be used, when it is due. wait: false: at once."""
        if wait:
            self._pace()
        size = size or self.plan.size
        self._number += 1
        message = good(self._number, size, compressed=self.compressed)
        key = self._header(message, frame_id, stamp_ns)
        self.last_stamp_ns = key[1]
        self.book.sent(key, self.fault)
        self._images[self.compressed].publish(message)
        info = info or calibration(size)
        info.header = message.header
        self._infos.publish(info)

    def frames(self, count: int, **options: Any) -> None:
        """Several of them."""
        for _ in range(count):
            self.frame(**options)

    def bad(self, message: Any) -> None:
        """Send a frame that cannot be used."""
        self._pace()
        self.book.sent_bad(self._header(message, FRAME_ID, None), self.fault)
        self._images[self.compressed].publish(message)

    def bad_were_counted(self) -> None:
        """Wait until the diagnostics have all bad frames, and a reason for them; a good one must not be among them."""
        book = self.book
        self.until(
            lambda: book.counts.failed >= book.bad_expected and bool(book.counts.reason),
            lambda: (
                f"/diagnostics to count {book.bad_expected} bad frames; it has {book.counts.failed} "
                f"({self.fault}; last reason: {book.counts.reason!r})"
            ),
            30.0,
        )
        book.check_failures()

    def recovered(self) -> None:
        """Wait for the mask of a frame that is sent from now on."""
        now_ns = time.time_ns()
        self.until(lambda: self._last_mask_ns >= now_ns, f"a mask after '{self.fault}'")

    def idle(self) -> None:
        """Send nothing until the newest frame has its mask: the next one finds the queue empty."""
        deadline = time.monotonic() + PATIENCE_S
        while self._last_mask_ns != self.last_stamp_ns:
            if time.monotonic() > deadline:
                raise DcfmError(f"gave up after {PATIENCE_S:g} s of waiting for the mask of the newest frame")
            self.spin(0.05)

    def comes_back(self) -> None:
        """The same; from then on every frame is expected to have one."""
        self.recovered()
        self.book.is_back()

    def ends(self) -> None:
        """Wait for what is under way, and for the diagnostics of it, then settle."""
        self.fault = CALM
        self.recovered()
        deadline = time.monotonic() + PATIENCE_S
        while self.book.waiting() > self.book.counts.dropped and time.monotonic() < deadline:
            self.spin(1.0)
        self.spin(1.0)
        self.book.settle()

    # -- time -------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the begin."""
        return time.monotonic() - self._begin

    def until(
        self, done: Callable[[], bool], what: str | Callable[[], str], seconds: float = PATIENCE_S
    ) -> None:
        """Send frames until something holds. DcfmError when it does not in time, or the node has ended."""
        begin, begun = time.monotonic(), self.process.computed_s()
        while not done():
            waited, computed = time.monotonic() - begin, self.process.computed_s() - begun
            if time_is_up(seconds, waited, computed):
                raise DcfmError(
                    f"gave up after {waited:.0f} s, of which the node computed {computed:.0f}, of waiting for "
                    f"{what() if callable(what) else what}"
                )
            self.frame()

    def spin(self, seconds: float) -> None:
        """Listen, and send nothing."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)
            self.process.watch(self.now(), self.fault)

    def _pace(self) -> None:
        now = time.monotonic()
        self._due = max(self._due + 1 / self.plan.rate_hz, now - 0.1)
        self.spin(max(self._due - now, 0.001))

    # -- what comes -------------------------------------------------------------------------------------------------

    def _header(self, message: Any, frame_id: str, stamp_ns: int | None) -> tuple[str, int]:
        stamp_ns = time.time_ns() if stamp_ns is None else stamp_ns
        message.header.frame_id = frame_id
        set_ns(message.header.stamp, stamp_ns)
        return frame_id, stamp_ns

    def _on_mask(self, message: Image) -> None:
        key = message.header.frame_id, to_ns(message.header.stamp)
        self.book.mask_came(key, ours=key[0] != "guest")
        if abs(time.time_ns() - key[1]) < NEAR_NS:
            self._last_mask_ns = key[1]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        values = {entry.key: entry.value for status in message.status for entry in status.values}
        for status in message.status:
            if status.name.endswith("engine") and status.values:
                self.engine = status.message
            if status.name.endswith("processing") and " failures: " in status.message:
                self.book.problem(f"/diagnostics: {status.message} ({self.fault})")
        if "received" in values:
            self.book.counts = Counts(
                int(values["received"]),
                int(values["failed"]),
                int(values["dropped for newer ones"]) + int(values["lost by the middleware"]),
                values["last reason"] or self.book.counts.reason,
            )


def ros_began() -> None:
    """Take the environment that the node gets, too, and start ROS."""
    os.environ.update(child_environment(share_path("config", "fastdds.xml")))
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    rclpy.init(args=[])
