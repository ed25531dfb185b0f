"""One camera: its subscription, the frame that waits, and the worker that makes a mask of it."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from time import perf_counter
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.engines import Engine
from dcfm_ros.msg import FrameTiming
from dcfm_ros.node.convert import compressed_to_rgb, image_to_rgb
from dcfm_ros.node.events import subscription_events
from dcfm_ros.node.health import Health, Report
from dcfm_ros.node.inbox import Inbox
from dcfm_ros.node.parameters import Configuration
from dcfm_ros.node.publish import Outputs
from dcfm_ros.stream import StreamSegmenter
from dcfm_ros.stream.image_decode import BadImage

MAX_LATENCY_MS = 60_000.0  # more than this, or less than nothing, means that the two clocks are not the same
STOP_S = 0.4  # how long to wait for the frame in work when stopping


class Camera:
    """A stream of images in, a stream of masks out.

    The executor's thread only stores the newest message; the worker thread does the rest, so a slow network never
    makes ROS wait.
    """

    def __init__(
        self,
        node: Node,
        *,
        topic: str,
        base: str,
        timing_topic: str,
        engine: Engine,
        configuration: Configuration,
        phase: float,
    ) -> None:
        """
        Args:
            topic: the image topic.
            base: goes before `camera_info` and `segmentation/...`: "" or a namespace that ends in a slash.
            timing_topic: where FrameTiming goes.
            engine: shared by all cameras.
            phase: 0 to 1, where in the key frame interval this camera's refreshes fall.
        """
        self.topic = topic + "/compressed" if configuration.node.transport == "compressed" else topic
        self.name = base.strip("/")
        self._node = node
        self._base = base
        self._engine = engine
        self._phase = phase
        self._configuration = configuration
        self._outputs = Outputs(node, base, timing_topic, engine.card)
        self._health = Health()
        self._refresh = threading.Event()
        self._info: CameraInfo | None = None
        self._pose: Any = None
        self._last_key: tuple[int, str] | None = None
        self._subscriptions: list[Any] = []
        self._inbox: Inbox[Any] = Inbox(1)
        self._worker: threading.Thread | None = None
        self.incompatible_publishers = 0

    # -- called from the executor's thread --------------------------------------------------------------------------

    def start(self) -> None:
        """Subscribe and begin to work."""
        if self._worker is not None:
            return
        settings = self._configuration.node
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=settings.input_depth,
            reliability=getattr(ReliabilityPolicy, settings.input_reliability.upper()),
        )
        compressed = settings.transport == "compressed"
        self._convert = compressed_to_rgb if compressed else image_to_rgb
        self._inbox = Inbox(settings.input_depth)
        self._worker = threading.Thread(
            target=self._work, args=(self._inbox,), name=f"dcfm {self.topic}", daemon=True
        )
        self._worker.start()
        subscribe = self._node.create_subscription
        self._subscriptions = [
            subscribe(
                CompressedImage if compressed else Image,
                self.topic,
                self._on_image,
                qos,
                event_callbacks=subscription_events(
                    lost=lambda number: self._health.count("lost", number), incompatible=self._on_incompatible
                ),
            ),
            subscribe(CameraInfo, f"{self._base}camera_info", self._on_camera_info, qos),
        ]

    def stop(self) -> bool:
        """Unsubscribe and let the worker end; whether it has, or is still in the middle of a long frame."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self._worker is None:
            return True
        self._health.count("dropped", self._inbox.close())
        worker, self._worker = self._worker, None
        worker.join(STOP_S)
        return not worker.is_alive()

    def close(self) -> bool:
        """Stop, and take the topics off the graph; whether the worker has ended."""
        ended = self.stop()
        self._outputs.close()
        return ended

    def reconfigure(self, configuration: Configuration) -> None:
        """Use new parameters from the next frame on."""
        self._configuration = configuration

    def refresh(self) -> None:
        """Ask for a new common feature at the next frame."""
        self._refresh.set()

    def moved(self, pose: Any) -> None:
        """The newest pose of the robot, for the odometry trigger."""
        self._pose = pose

    def report(self) -> Report:
        """What the diagnostics need."""
        return self._health.report(running=self._worker is not None)

    def _on_image(self, message: Any) -> None:
        stamp = message.header.stamp
        key = (stamp.sec * 1_000_000_000 + stamp.nanosec, message.header.frame_id)
        self._health.image_came(stamped=key[0] != 0)
        if key == self._last_key and key[0] != 0:
            self._health.count("dropped")  # the same frame twice needs no second mask
            return
        self._last_key = key
        self._health.count("dropped", self._inbox.put(message))

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_incompatible(self, number: int) -> None:
        self.incompatible_publishers += number

    # -- the worker -------------------------------------------------------------------------------------------------

    def _work(self, inbox: Inbox[Any]) -> None:
        segmenter, built_for = None, None
        try:
            while (message := inbox.take()) is not None:
                try:
                    if self._configuration.stream is not built_for:
                        built_for = self._configuration.stream
                        if segmenter is not None:
                            segmenter.close()
                        segmenter = self._segmenter(built_for)
                    if self._refresh.is_set():
                        self._refresh.clear()
                        segmenter.request_refresh("service")
                    self._process(segmenter, message)
                except BadImage as error:
                    self._health.bad_image(str(error))
                    self._log().warning(f"{self.topic}: {error}", throttle_duration_sec=5.0)
                except (
                    Exception
                ) as error:  # one frame's failure must not end the stream, and must not be silent
                    if not self._node.context.ok():
                        return
                    self._health.error(_reason(error), frame_failed=True)
                    self._log().error(
                        f"{self.topic}: frame failed: {_reason(error)}", throttle_duration_sec=5.0
                    )
        finally:
            if segmenter is not None:
                segmenter.close()

    def _segmenter(self, config: Any) -> StreamSegmenter:
        return StreamSegmenter(
            self._engine, replace(config, phase=self._phase), on_error=self._on_common_error
        )

    def _on_common_error(self, error: BaseException) -> None:
        self._health.error(f"common branch: {_reason(error)}", frame_failed=False)
        self._log().error(f"{self.topic}: common branch failed: {_reason(error)}", throttle_duration_sec=5.0)

    def _process(self, segmenter: StreamSegmenter, message: Any) -> None:
        began = perf_counter()
        rgb = self._convert(message)
        converted = perf_counter()
        result = segmenter.step(
            rgb, self._stamp_ns(message), odometry=self._pose, confidence=self._outputs.wants_confidence()
        )
        segmented = perf_counter()
        look = self._configuration.node
        self._outputs.publish(
            message.header, rgb, result, self._info, look.overlay_alpha, look.overlay_legend
        )
        published = perf_counter()

        total_ms = (published - began) * 1e3
        latency_ms = self._latency_ms(message)
        self._health.processed(result, total_ms, latency_ms, f"{rgb.shape[1]}x{rgb.shape[0]}")
        timing = self._timing(message, result)
        timing.convert_ms = (converted - began) * 1e3
        timing.publish_ms = (published - segmented) * 1e3
        timing.total_ms = total_ms
        timing.latency_ms = latency_ms
        self._outputs.publish_timing(timing)

    def _timing(self, message: Any, result: Any) -> FrameTiming:
        """FrameTiming of a frame, but for what is measured around the segmenter."""
        counts, spent = self._health.counts(), result.timing
        timing = FrameTiming(header=message.header, key_frame=result.key_frame, trigger=result.trigger)
        timing.key_stamp.sec, timing.key_stamp.nanosec = divmod(result.key_stamp_ns, 1_000_000_000)
        timing.age_ms, timing.age_frames = float(result.age_ms), int(result.age_frames)
        timing.motion, timing.agreement = float(result.motion), float(result.agreement)
        timing.stale = bool(result.stale)
        timing.preprocess_ms = float(spent.preprocess)
        timing.independent_ms = float(spent.independent)
        timing.fuse_ms = float(spent.fuse)
        timing.label_map_ms = float(spent.label_map)
        timing.common_ms = float(spent.common)
        timing.received, timing.processed = counts.received, counts.processed
        timing.dropped, timing.failed, timing.lost = counts.dropped, counts.failed, counts.lost
        return timing

    def _stamp_ns(self, message: Any) -> int:
        stamp = message.header.stamp
        return stamp.sec * 1_000_000_000 + stamp.nanosec or self._node.get_clock().now().nanoseconds

    def _latency_ms(self, message: Any) -> float:
        latency = (self._node.get_clock().now().nanoseconds - self._stamp_ns(message)) / 1e6
        return latency if 0 <= latency <= MAX_LATENCY_MS else math.nan

    def _log(self) -> Any:
        return self._node.get_logger()


def _reason(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
