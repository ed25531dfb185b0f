"""One camera: its topics, and the runs of frames that go through it."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.engines.base import Engine
from dcfm_ros.media.health import Health, Report
from dcfm_ros.node.frame_worker import FrameWorker, Latest
from dcfm_ros.node.parameters import Configuration
from dcfm_ros.node.publish import LATCHED, Outputs
from dcfm_ros.node.topics import COMPRESSED, RAW, CameraTopics, beside, info_topic, resolved
from dcfm_ros.stamps import to_ns
from dcfm_ros.stream.segmentation import Pose

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


class Camera:
    """A stream of images in, a stream of masks out. Call its methods from the executor's thread only."""

    def __init__(
        self, node: Node, names: CameraTopics, *, engine: Engine, configuration: Configuration, phase: float
    ) -> None:
        """engine: shared by all cameras. phase: 0 to 1, where in the key frame interval this camera's refreshes
        fall.
        """
        self._compressed = configuration.node.transport == "compressed"
        self.kind = COMPRESSED if self._compressed else RAW
        self.topic = (
            beside(node, names.image, "/compressed") if self._compressed else resolved(node, names.image)
        )
        self.name = names.base.strip("~/")
        self.incompatible_publishers = 0
        self._node = node
        self._info_topic = info_topic(node, names)
        self._engine = engine
        self._phase = phase
        self._latest = Latest(configuration)
        selected = configuration.node.selected
        self._outputs = Outputs(node, names, engine.card, configuration.node.input_depth, selected)
        self._health = Health()
        self._last_image: Any = None
        self._subscriptions: list[Any] = []
        self._worker: FrameWorker | None = None
        self._stopped: list[FrameWorker] = []  # perhaps still busy with a long frame

    def start(self) -> None:
        """Subscribe and begin to work."""
        if self._worker is not None:
            return
        self._last_image = None
        self._health.started()
        self._worker = FrameWorker(
            self.topic,
            engine=self._engine,
            phase=self._phase,
            latest=self._latest,
            outputs=self._outputs,
            health=self._health,
            node=self._node,
        )
        settings = self._latest.configuration.node
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=settings.input_depth,
            reliability=getattr(ReliabilityPolicy, settings.input_reliability.upper()),
        )
        kind = CompressedImage if self._compressed else Image
        events = SubscriptionEventCallbacks(
            message_lost=self._on_lost, incompatible_qos=self._on_incompatible
        )
        subscribe = self._node.create_subscription
        self._subscriptions = [
            subscribe(kind, self.topic, self._on_image, qos, event_callbacks=events),
            subscribe(CameraInfo, self._info_topic, self._on_camera_info, qos_profile_sensor_data),
            # The one above suits every publisher, but does not get what one has latched before.
            subscribe(CameraInfo, self._info_topic, self._on_camera_info, LATCHED),
        ]

    def stop(self) -> None:
        """Unsubscribe and publish nothing more. Does not wait for the frame in progress."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self._worker is not None:
            self._worker.stop()
            self._stopped = [worker for worker in self._stopped if worker.busy] + [self._worker]
            self._worker = None

    def close(self, deadline: float) -> None:
        """Remove the topics from the graph; wait until `deadline` (time.monotonic) for the frames in progress."""
        self.stop()
        self._outputs.close()
        for worker in self._stopped:
            worker.join(deadline)

    def reconfigure(self, configuration: Configuration) -> None:
        """Use new parameters from the next frame on."""
        self._latest.configuration = configuration

    def refresh(self) -> None:
        """Ask for a new common feature at the next frame."""
        if self._worker is not None:
            self._worker.refresh()

    def moved(self, pose: Pose) -> None:
        """The newest pose of the robot, for the odometry trigger."""
        self._latest.pose = pose

    def report(self) -> Report:
        """What the diagnostics need; begins a new window of time."""
        return self._health.report(running=self._worker is not None)

    def _on_image(self, message: Any) -> None:
        last, self._last_image = self._last_image, message
        stamped = to_ns(message.header.stamp) != 0
        again = stamped and last is not None and message.header == last.header
        repeated = again and message == last
        self._health.image_came(stamped=stamped, standing=again and not repeated)
        if repeated:
            self._health.count("dropped")  # the same frame twice needs no second mask
        elif self._worker is not None:
            self._worker.put(message)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._latest.infos.add(message)

    def _on_lost(self, event: Any) -> None:
        self._health.count("lost", event.total_count_change)

    def _on_incompatible(self, event: Any) -> None:
        self.incompatible_publishers += event.total_count_change
