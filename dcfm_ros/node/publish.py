"""What goes out for a frame. Each output is made only while somebody subscribes to it."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelCard
from dcfm_ros.msg import FrameTiming
from dcfm_ros.node.camera_info import scaled_camera_info
from dcfm_ros.node.topics import CameraTopics, beside
from dcfm_ros.stamps import set_ns
from dcfm_ros.stream.overlay import draw_overlay
from dcfm_ros.stream.segmentation import Segmentation

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:
    LabelInfo = None

TIMINGS_KEPT = 10
# A mask has large flat regions: rows stored as the difference from the one above are runs of zeros. Three times faster
# than trying all filters, and smaller. Older versions of OpenCV offer no choice.
FAST_PNG = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *((cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP) if hasattr(cv2, "IMWRITE_PNG_FILTER") else ()),
)


def reliable(depth: int, *, latched: bool = False) -> QoSProfile:
    """Serves reliable and best-effort subscribers alike. latched: late subscribers get the last messages, too."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


LATCHED = reliable(1, latched=True)


class Pictures:
    """A publisher of pictures. Its only message is filled in place: a publisher is done with it when `publish` returns."""

    def __init__(self, publisher: Any, encoding: str) -> None:
        self.publisher = publisher
        self._message = Image(encoding=encoding)
        self._pixels = np.empty(0, np.uint8)  # the message's data, in the shape of the picture

    @property
    def watched(self) -> bool:
        """Whether somebody subscribes."""
        return _watched(self.publisher)

    def publish(self, header: Any, pixels: np.ndarray) -> None:
        """Publish uint8 H×W or H×W×3 pixels, rows without padding."""
        np.copyto(self.canvas(pixels.shape), pixels)
        self.publish_canvas(header)

    def canvas(self, shape: tuple[int, ...]) -> np.ndarray:
        """The memory of the next picture, uint8 of this shape, to be filled before `publish_canvas`."""
        if shape != self._pixels.shape:
            self._resize(shape)
        return self._pixels

    def publish_canvas(self, header: Any) -> None:
        """Publish what `canvas` holds."""
        self._message.header = header
        self.publisher.publish(self._message)

    def _resize(self, shape: tuple[int, ...]) -> None:
        message = self._message
        message.height, message.width = shape[:2]
        message.step = math.prod(shape[1:])
        # rclpy takes an array.array as a whole; it would check bytes and lists element by element.
        message.data = array("B", bytes(math.prod(shape)))
        self._pixels = np.frombuffer(message.data, np.uint8).reshape(shape)  # some distributions copy it


def png_message(header: Any, mask: np.ndarray) -> CompressedImage:
    """A mask as PNG: lossless, since a class id that is slightly off is another class."""
    done, png = cv2.imencode(".png", mask, FAST_PNG)
    if not done:
        raise DcfmError(f"OpenCV cannot write a mask of shape {mask.shape} as PNG")
    message = CompressedImage()
    message.header = header
    message.format = "mono8; png compressed "
    message.data = array("B", png.tobytes())
    return message


def selection_table(classes: Sequence[str], selected: Sequence[str]) -> np.ndarray:
    """uint8 of 256: 255 for the ids of the selected classes, 0 for all others. DcfmError for one that does not exist."""
    table = np.zeros(256, np.uint8)
    for name in selected:
        if name not in classes:
            raise DcfmError(f"selection names '{name}'; the classes are {', '.join(classes)}")
        table[classes.index(name)] = 255
    return table


class Outputs:
    """The publishers of one camera. `lock` is held while a frame is published.

    depth: how many messages each keeps until all subscribers have them; as many as frames may wait for the network.
    selected: names of the classes that `selection` shows; none: it is not published.
    Raises DcfmError for a class that the card does not have, and what rclpy raises for invalid names; no topic is left
    behind then.
    """

    def __init__(
        self, node: Node, names: CameraTopics, card: ModelCard, depth: int, selected: Sequence[str] = ()
    ) -> None:
        self.lock = threading.Lock()
        self._node = node
        self._card = card
        self._publishers: list[Any] = []  # of what is made from frames
        self._label_info: Any = None
        self._selection: Pictures | None = None
        self._selected = selection_table(card.classes, selected) if selected else None
        try:
            self._create(names, depth)
        except BaseException:
            self.close()  # nobody else knows of those created so far
            raise

    def wanted(self) -> bool:
        """Whether somebody subscribes to anything that is made from frames."""
        return any(_watched(publisher) for publisher in self._publishers)

    def wants_confidence(self) -> bool:
        """Whether somebody subscribes to the confidence image."""
        return self._confidence.watched

    def wants_timing(self) -> bool:
        """Whether somebody subscribes to FrameTiming."""
        return _watched(self._timing)

    def publish(
        self,
        header: Any,
        rgb: np.ndarray,
        result: Segmentation,
        info: CameraInfo | None,
        alpha: float,
        legend: bool,
    ) -> None:
        """Publish everything that has a subscriber, the mask first, all with the input's header."""
        mask = result.mask
        if self._mask.watched:
            self._mask.publish(header, mask)
        if result.confidence is not None and self._confidence.watched:
            self._confidence.publish(header, result.confidence)
        if info is not None and _watched(self._camera_info):
            size = (mask.shape[1], mask.shape[0])
            self._camera_info.publish(scaled_camera_info(info, header, size))
        if self._selection is not None and self._selection.watched:
            np.take(self._selected, mask, out=self._selection.canvas(mask.shape), mode="clip")
            self._selection.publish_canvas(header)
        if _watched(self._png):
            self._png.publish(png_message(header, mask))
        if self._overlay.watched:
            draw_overlay(rgb, mask, self._card, alpha, legend, out=self._overlay.canvas(rgb.shape))
            self._overlay.publish_canvas(header)

    def publish_timing(self, header: Any, key_stamp_ns: int, fields: dict[str, Any]) -> None:
        """One per frame, after everything else. fields: the others of a FrameTiming."""
        timing = FrameTiming(header=header, **fields)
        set_ns(timing.key_stamp, key_stamp_ns)
        self._timing.publish(timing)

    def close(self) -> None:
        """Remove the topics from the graph."""
        with self.lock:
            for publisher in self._publishers:
                self._node.destroy_publisher(publisher)
            if self._label_info is not None:
                self._node.destroy_publisher(self._label_info)

    def _create(self, names: CameraTopics, depth: int) -> None:
        self._mask = Pictures(self._publisher(Image, names.output("mask"), depth), "mono8")
        self._confidence = Pictures(self._publisher(Image, names.output("confidence"), depth), "mono8")
        self._overlay = Pictures(self._publisher(Image, names.output("overlay"), depth), "rgb8")
        if self._selected is not None:
            self._selection = Pictures(self._publisher(Image, names.output("selection"), depth), "mono8")
        self._png = self._publisher(
            CompressedImage, beside(self._node, names.output("mask"), "/compressed"), depth
        )
        self._camera_info = self._publisher(CameraInfo, names.output("camera_info"), depth)
        self._timing = self._publisher(FrameTiming, names.timing, max(depth, TIMINGS_KEPT))
        self._publish_label_info(names.output("label_info"))

    def _publisher(self, kind: type, topic: str, depth: int) -> Any:
        publisher = self._node.create_publisher(kind, topic, reliable(depth))
        self._publishers.append(publisher)
        return publisher

    def _publish_label_info(self, topic: str) -> None:
        """Latch the class names for late subscribers, if vision_msgs is installed."""
        if LabelInfo is None:
            self._node.get_logger().info(
                f"vision_msgs is not installed: {topic} is not published. "
                "Everything else works; nav2's semantic layer needs it (package vision_msgs)."
            )
            return
        self._label_info = self._node.create_publisher(LabelInfo, topic, LATCHED)
        message = LabelInfo()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.class_map = [
            VisionClass(class_id=index, class_name=name) for index, name in enumerate(self._card.classes)
        ]
        self._label_info.publish(message)


def _watched(publisher: Any) -> bool:
    return publisher.get_subscription_count() > 0
