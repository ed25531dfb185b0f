"""The thread that makes masks of one camera's images: convert, one call, publish."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from dcfm_ros.engines.base import Engine
from dcfm_ros.errors import reason
from dcfm_ros.media.health import Health, timing_fields
from dcfm_ros.media.image_header import BadImage
from dcfm_ros.node.camera_info import CameraInfos
from dcfm_ros.node.convert import message_to_rgb
from dcfm_ros.node.parameters import Configuration
from dcfm_ros.node.publish import Outputs
from dcfm_ros.stamps import to_ns
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.inbox import Inbox
from dcfm_ros.stream.segmentation import Pose, Stopwatch
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.streams import Streams

MAX_LATENCY_MS = 60_000.0  # a latency above this, or below zero, means that the stamp is from another clock
LOG_PERIOD_S = 5.0  # a camera that sends nothing but bad images must not flood the log


@dataclass
class Latest:
    """The newest of everything but images. The executor's thread assigns, the worker reads at each frame."""

    configuration: Configuration
    infos: CameraInfos = field(default_factory=CameraInfos)
    pose: Pose | None = None


class FrameWorker:
    """Works on a camera's frames from its start to its stop.

    The executor's thread only hands over the newest message; this thread does the rest, so a slow network never makes
    ROS wait. Inbox and stream are its own and end with it, even if its last frame takes long.
    """

    def __init__(
        self,
        topic: str,
        *,
        engine: Engine,
        phase: float,
        latest: Latest,
        outputs: Outputs,
        health: Health,
        node: Any,
    ) -> None:
        """topic: for the log. phase: 0 to 1, where in the key frame interval this camera's refreshes fall. node:
        whose clock and log are used.
        """
        self._topic = topic
        self._engine = engine
        self._phase = phase
        self._latest = latest
        self._outputs = outputs
        self._health = health
        self._clock, self._log = node.get_clock(), node.get_logger()
        self._inbox: Inbox[Any] = Inbox(latest.configuration.node.input_depth)
        self._refresh = threading.Event()
        self._streams: Streams | None = None
        self._built_for: StreamConfig | None = None
        self._tried: StreamConfig | None = None  # not what it was built for where that could not be used
        self._thread = threading.Thread(target=self._run, name=f"dcfm {topic}", daemon=True)
        self._thread.start()

    # -- called from the executor's thread --------------------------------------------------------------------------

    def put(self, message: Any) -> None:
        """Add the newest image; the oldest one waiting makes room for it."""
        if self._inbox.put(message) is not None:
            self._health.count("dropped")

    def refresh(self) -> None:
        """Ask for a new common feature at the next frame."""
        self._refresh.set()

    def stop(self) -> None:
        """Publish nothing more, discard what is waiting, and end after the frame in progress, without waiting for it."""
        with self._outputs.lock:
            self._health.count("dropped", self._inbox.close())

    @property
    def busy(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    def join(self, deadline: float) -> None:
        """Wait for the end, until `deadline` (time.monotonic) at most."""
        self._thread.join(max(0.0, deadline - monotonic()))

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (message := self._inbox.take()) is not None:
                self._guarded(message)
        finally:
            # They know their worker: in a circle with it they would keep the engine until Python looks for such.
            streams, self._streams = self._streams, None
            if streams is not None:
                streams.close()

    def _guarded(self, message: Any) -> None:
        """One frame; its failure must neither end the stream nor pass in silence."""
        try:
            self._work(message)
        except BadImage as error:
            self._log.warning(f"{self._topic}: {reason(error)}", throttle_duration_sec=LOG_PERIOD_S)
            self._health.bad_image(reason(error))
        except Exception as error:
            if self._inbox.closed:
                # Stopped in the meantime, and the topics may be gone: nobody expects this mask any more.
                self._health.count("dropped")
                return
            self._log.error(
                f"{self._topic}: frame failed: {reason(error)}", throttle_duration_sec=LOG_PERIOD_S
            )
            self._health.error(reason(error), frame_failed=True)

    def _work(self, message: Any) -> None:
        watch = Stopwatch()
        rgb = message_to_rgb(message)  # even without subscribers: a bad image belongs in the diagnostics
        convert_ms = watch.lap()
        if not self._outputs.wanted():
            self._rest()
            return
        result = self._stream().step(
            rgb,
            to_ns(message.header.stamp),
            frame_id=message.header.frame_id,
            odometry=self._latest.pose,
            confidence=self._outputs.wants_confidence(),
        )
        watch.lap()
        with self._outputs.lock:
            if self._inbox.closed:
                self._health.count("dropped")  # stopped in the meantime: nobody expects this mask any more
                return
            look = self._latest.configuration.node
            info = self._latest.infos.of(message.header, result.size)
            self._outputs.publish(message.header, rgb, result, info, look.overlay_alpha, look.overlay_legend)
            publish_ms = watch.lap()
            total_ms, latency_ms = watch.total(), self._latency_ms(message.header)
            self._health.processed(result, total_ms, latency_ms)
            if self._outputs.wants_timing():
                timing = timing_fields(
                    result,
                    self._health.counts(),
                    convert_ms=convert_ms,
                    publish_ms=publish_ms,
                    total_ms=total_ms,
                    latency_ms=latency_ms,
                )
                self._outputs.publish_timing(message.header, result.key_stamp_ns, timing)

    def _stream(self) -> Streams:
        """The stream, a new one if its parameters have changed, with any refresh that was asked for."""
        config = self._latest.configuration.stream
        if self._streams is None:
            self._streams = self._begin(config)
        elif config != self._tried:
            self._change(self._streams, config)
        if self._refresh.is_set():
            self._refresh.clear()
            self._streams.request_refresh("service")
        return self._streams

    def _begin(self, config: StreamConfig) -> Streams:
        own = replace(config, phase=self._phase)
        streams = Streams(lambda: StreamSegmenter(self._engine, own, on_error=self._on_common_error))
        self._built_for = self._tried = config
        return streams

    def _change(self, current: Streams, config: StreamConfig) -> None:
        """Begin a new stream, unless these are the current one's parameters; keep that if they cannot be used."""
        self._tried, refusal = config, ""
        if config != self._built_for:
            try:
                self._streams = self._begin(config)
            except Exception as error:
                refusal = reason(error)
                self._log.error(
                    f"{self._topic}: the new parameters cannot be used, the previous ones stay in use: {refusal}"
                )
            else:
                current.close()
        self._health.refused(refusal)

    def _rest(self) -> None:
        """Nobody subscribes: the network does not run. When somebody does, the common feature will be too old."""
        self._health.count("unwanted")
        if self._streams is not None:
            self._streams.reset("nobody subscribed")

    def _on_common_error(self, error: BaseException) -> None:
        self._log.error(
            f"{self._topic}: common branch failed: {reason(error)}", throttle_duration_sec=LOG_PERIOD_S
        )
        self._health.error(f"common branch: {reason(error)}", frame_failed=False)

    def _latency_ms(self, header: Any) -> float:
        """From the stamp until now; NaN without a stamp, and if the stamp is from another clock."""
        stamp_ns = to_ns(header.stamp)
        latency = (self._clock.now().nanoseconds - stamp_ns) / 1e6
        return latency if stamp_ns and 0 <= latency <= MAX_LATENCY_MS else math.nan
