"""What goes out for a frame. Each output is made only while somebody subscribes to it."""

from __future__ import annotations

from array import array
from typing import Any

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.errors import DcfmError
from dcfm_ros.msg import FrameTiming
from dcfm_ros.node.camera_info import scaled_camera_info
from dcfm_ros.stream.overlay import draw_overlay

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:
    LabelInfo = None

NEWEST = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE)
TEN = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)  # a mask of flat regions packs well at any level


def image_message(header: Any, pixels: np.ndarray, encoding: str) -> Image:
    """An Image of uint8 H×W or H×W×3 pixels, rows without padding."""
    message = Image()
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.step = pixels.shape[1] * (1 if pixels.ndim == 2 else pixels.shape[2])
    message.data = _bytes_array(pixels)
    return message


def png_message(header: Any, mask: np.ndarray) -> CompressedImage:
    """A mask as PNG: lossless, since a class id that is a little off is another class."""
    done, png = cv2.imencode(".png", mask, FAST_PNG)
    if not done:
        raise DcfmError(f"OpenCV cannot write a mask of shape {mask.shape} as PNG")
    message = CompressedImage()
    message.header = header
    message.format = "mono8; png compressed "
    message.data = _bytes_array(png)
    return message


def _bytes_array(values: np.ndarray) -> array:
    # rclpy takes an array.array as it is; it would check bytes and lists element by element.
    data = array("B")
    data.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return data


class Outputs:
    """The publishers of one camera."""

    def __init__(self, node: Node, base: str, timing_topic: str, card: Any) -> None:
        """`base` is prepended to `segmentation/...`: "" or a camera's namespace with a slash at its end."""
        topic = f"{base}segmentation"
        self._node = node
        self._card = card
        self._mask = node.create_publisher(Image, f"{topic}/mask", NEWEST)
        self._confidence = node.create_publisher(Image, f"{topic}/confidence", NEWEST)
        self._overlay = node.create_publisher(Image, f"{topic}/overlay", NEWEST)
        self._png = node.create_publisher(CompressedImage, f"{topic}/mask/compressed", NEWEST)
        self._camera_info = node.create_publisher(CameraInfo, f"{topic}/camera_info", NEWEST)
        self._timing = node.create_publisher(FrameTiming, timing_topic, TEN)
        self._label_info = self._publish_label_info(f"{topic}/label_info")

    def wants_confidence(self) -> bool:
        """Whether somebody subscribes to the confidence image."""
        return _watched(self._confidence)

    def publish(
        self, header: Any, rgb: np.ndarray, result: Any, info: CameraInfo | None, alpha: float, legend: bool
    ) -> None:
        """Publish everything that is subscribed to, the mask first, all with the input's header."""
        mask = result.mask
        if _watched(self._mask):
            self._mask.publish(image_message(header, mask, "mono8"))
        if result.confidence is not None and _watched(self._confidence):
            self._confidence.publish(image_message(header, result.confidence, "mono8"))
        if info is not None and _watched(self._camera_info):
            size = (mask.shape[1], mask.shape[0])
            self._camera_info.publish(scaled_camera_info(info, header, size))
        if _watched(self._png):
            self._png.publish(png_message(header, mask))
        if _watched(self._overlay):
            picture = draw_overlay(rgb, mask, self._card, alpha, legend)
            self._overlay.publish(image_message(header, picture, "rgb8"))

    def publish_timing(self, timing: FrameTiming) -> None:
        """One per frame, after everything else."""
        if _watched(self._timing):
            self._timing.publish(timing)

    def close(self) -> None:
        """Take the topics off the graph."""
        publishers = (
            self._mask,
            self._confidence,
            self._overlay,
            self._png,
            self._camera_info,
            self._timing,
            self._label_info,
        )
        for publisher in publishers:
            if publisher is not None:
                self._node.destroy_publisher(publisher)

    def _publish_label_info(self, topic: str) -> Any:
        """Latch the class names for whoever comes later; the publisher, or None without vision_msgs."""
        if LabelInfo is None:
            self._node.get_logger().info(
                f"vision_msgs is not installed: {topic} is not published. "
                "Everything else works; nav2's semantic layer needs it (package vision_msgs)."
            )
            return None
        publisher = self._node.create_publisher(LabelInfo, topic, LATCHED)
        message = LabelInfo()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.class_map = [
            VisionClass(class_id=index, class_name=name) for index, name in enumerate(self._card.classes)
        ]
        publisher.publish(message)
        return publisher


def _watched(publisher: Any) -> bool:
    return publisher.get_subscription_count() > 0
