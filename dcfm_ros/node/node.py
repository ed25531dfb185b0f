"""The ROS node: a lifecycle around the cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import qos_profile_sensor_data
from std_srvs.srv import SetBool, Trigger

from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.errors import reason
from dcfm_ros.media.diagnostics import CameraDiagnostics, engine_status
from dcfm_ros.model.shipped import weights_path
from dcfm_ros.node import bond, ros_log
from dcfm_ros.node.camera import Camera
from dcfm_ros.node.diagnostics import input_of, limits_of, status_message
from dcfm_ros.node.frame_worker import LOG_PERIOD_S
from dcfm_ros.node.parameters import Configuration
from dcfm_ros.node.ros_parameters import Parameters
from dcfm_ros.node.topics import camera_topics
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.overlay import draw_overlay
from dcfm_ros.stream.segmentation import Pose
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.workers import way_of

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
STOP_S = 0.4  # how long to wait for the frames in progress when stopping


class DcfmNode(LifecycleNode):
    """Segments the images of one or several cameras.

    unconfigured: nothing but parameters. inactive: the network is loaded and the topics exist. active: frames are
    segmented, unless paused with ~/enable.
    """

    def __init__(self, **arguments: Any) -> None:
        """Raises DcfmError for parameters whose initial values make no sense."""
        super().__init__("dcfm", **arguments)
        self._engine: Engine | None = None
        self._cameras: list[Camera] = []
        self._judges: list[CameraDiagnostics] = []
        self._entities: list[Any] = []
        self._odometry: Any = None
        self._bond: bond.Bond | None = None
        self._active = False
        self._enabled = True
        self._last_clock = 0
        self.parameters = Parameters(self, on_change=self._on_parameters)
        ros_log.forward(self.get_logger())

    def start(self) -> bool:
        """Configure and activate if `autostart` says so; returns whether the node can work. It has logged why not."""
        if not self.parameters.configuration.node.autostart:
            return True
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def close(self) -> None:
        """Stop working and leave the graph, without waiting for a worker that is busy with a long frame."""
        self._release()
        self.destroy_node()

    def destroy_node(self) -> None:
        """Leave the graph; what the package's modules log no longer goes to the node's log."""
        ros_log.end(self.get_logger())
        super().destroy_node()

    # -- lifecycle --------------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network and create the topics."""
        return self._attempt("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to segment."""
        self._active = True
        return self._attempt("activate", self._apply)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop segmenting; the network stays loaded."""
        self._active = False
        return self._attempt("deactivate", self._apply)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unload the network, at the end and after an error, too: configuring again is the way out of whatever went wrong."""
        self._release()
        return SUCCESS

    on_shutdown = on_error = on_cleanup

    def _attempt(self, what: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        """Do the work of a transition. rclpy would swallow its errors silently."""
        try:
            work()
        except Exception as error:
            self.get_logger().fatal(f"cannot {what}: {reason(error)}")
            self._release()
            return FAILURE if what == "configure" else TransitionCallbackReturn.ERROR
        return SUCCESS

    def _configure(self) -> None:
        configuration = self.parameters.configuration
        weights = weights_path(configuration.node.weights)
        self.get_logger().info(f"loading {weights}")
        engine = self._engine = warm_engine(weights, configuration.engine, configuration.stream)
        names = camera_topics(configuration.node.image_topics)
        for index, each in enumerate(names):  # one by one: if one fails, those before it are released
            phase = index / len(names)
            self._cameras.append(Camera(self, each, engine=engine, configuration=configuration, phase=phase))
        prefix = f"{self._full_name}: "
        self._judges = [
            CameraDiagnostics(f"{prefix}{camera.name} " if camera.name else prefix, camera.topic)
            for camera in self._cameras
        ]
        self._entities = self._make_entities(configuration.node.diagnostics_period_s)
        if not configuration.node.autostart and bond.Status:  # a manager may wait for it
            self._bond = bond.Bond(self)
        self.parameters.configured = True
        self.get_logger().info(
            f"{engine.card.name} ({len(engine.card.classes)} classes) on {engine.device} "
            f"({engine.name}, {engine.precision}); images from {', '.join(c.topic for c in self._cameras)}"
        )

    def _make_entities(self, diagnostics_period_s: float) -> list[tuple[Callable[[Any], Any], Any]]:
        """Diagnostics and services, each with the call that removes it from the graph."""
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # a paused simulation is still diagnosed
        publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        timer = self.create_timer(diagnostics_period_s, lambda: self._diagnose(publisher), clock=steady)
        return [
            (self.destroy_timer, timer),
            (self.destroy_publisher, publisher),
            (self.destroy_service, self.create_service(SetBool, "~/enable", self._on_enable)),
            (self.destroy_service, self.create_service(Trigger, "~/refresh", self._on_refresh)),
        ]

    @property
    def _full_name(self) -> str:
        """With its namespace: two robots' nodes have two statuses."""
        return str(self.get_fully_qualified_name()).lstrip("/")

    def _release(self) -> None:
        """Return to the unconfigured state."""
        self._active = False
        self._apply()  # stops all cameras before waiting for any of them
        deadline = monotonic() + STOP_S
        for camera in self._cameras:
            camera.close(deadline)
        for destroy, entity in self._entities:
            destroy(entity)
        if self._bond:
            self._bond.destroy()
        self._cameras, self._judges, self._entities, self._engine, self._bond = [], [], [], None, None
        self.parameters.configured = False

    # -- what the states and services turn on and off ---------------------------------------------------------------

    def _apply(self) -> None:
        for camera in self._cameras:
            if self._active and self._enabled:
                camera.start()
            else:
                camera.stop()
        self._apply_odometry()
        if self._bond:
            self._bond.hold(self._active)

    def _apply_odometry(self) -> None:
        """Subscribe to odometry only while a trigger uses it: it may come at hundreds of Hz."""
        wanted = self._active and self._enabled and self.parameters.configuration.stream.wants_odometry
        if wanted and self._odometry is None:
            self._odometry = self.create_subscription(
                Odometry, "odom", self._on_odometry, qos_profile_sensor_data
            )
        elif not wanted and self._odometry is not None:
            self.destroy_subscription(self._odometry)
            self._odometry = None

    def _on_parameters(self, configuration: Configuration) -> None:
        for camera in self._cameras:
            camera.reconfigure(configuration)
        self._apply_odometry()

    def _on_odometry(self, message: Odometry) -> None:
        pose = Pose.of(message)
        if not pose.finite:
            self.get_logger().warning(
                "odometry is not finite; it is ignored", throttle_duration_sec=LOG_PERIOD_S
            )
        for camera in self._cameras:
            camera.moved(pose)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        self._apply()
        response.success = True
        response.message = "segmenting" if self._enabled and self._active else "paused"
        return response

    def _on_refresh(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        for camera in self._cameras:
            camera.refresh()
        response.success = self._active and self._enabled
        response.message = (
            "the next frame gets a new common feature"
            if response.success
            else "not segmenting: nothing to refresh"
        )
        return response

    def _diagnose(self, publisher: Any) -> None:
        now = self.get_clock().now()
        clocks = self.count_publishers("/clock")
        clock_stands = now.nanoseconds == self._last_clock and clocks > 0  # one that has ended is not paused
        no_clock = self.get_parameter("use_sim_time").value is True and not clocks
        self._last_clock = now.nanoseconds
        message = DiagnosticArray()
        message.header.stamp = now.to_msg()
        config = self.parameters.configuration.node
        statuses = []
        for camera, judge in zip(self._cameras, self._judges, strict=True):
            kinds = [each.topic_type for each in self.get_publishers_info_by_topic(camera.topic)]
            source = input_of(camera, config, kinds=kinds, clock_stands=clock_stands, no_clock=no_clock)
            statuses += judge.statuses(camera.report(), limits_of(config), source, enabled=self._enabled)
        statuses.append(engine_status(f"{self._full_name}: ", self._engine))
        message.status = [status_message(status, self._full_name) for status in statuses]
        publisher.publish(message)


def warm_engine(weights: str | Path, config: EngineConfig, stream: StreamConfig) -> Engine:
    """An engine that has segmented noise twice, as a key frame and as another one, and drawn it once: no camera waits for
    what is done only once (compiling, allocating).

    Raises DcfmError: the weights cannot be loaded, or nothing here can run them.
    """
    engine = create_engine(weights, config)
    width, height = stream.network_size(engine.card.input_size)
    engine.prepare((width, height), pieces=way_of(engine, stream) == "slices")
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with StreamSegmenter(engine, replace(stream, mode="inline")) as segmenter:
        for stamp_ns in (1, 2):
            mask = segmenter.step(noise, stamp_ns).mask
    draw_overlay(noise, mask, engine.card)  # which compiles, too: else the first subscriber would wait
    return engine
