"""What topics are called: a camera's, and those of the commands that play recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DEMO, REPLAY = "/dcfm_demo", "/dcfm_replay"
"""The namespaces of `dcfm demo` and of `dcfm replay --live`."""
RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
"""What a topic of images may hold."""


@dataclass(frozen=True)
class CameraTopics:
    """One camera's topics, as they are given to ROS, which resolves and remaps them."""

    image: str  # where frames come from
    base: str  # goes before `segmentation/...`: "" or a namespace that ends in a slash

    @property
    def camera_info(self) -> str:
        """Beside the image, where camera drivers put it."""
        return f"{self.base or _namespace(self.image)}camera_info"

    @property
    def timing(self) -> str:
        """Below the node's own name."""
        return f"~/{self.base.lstrip('~/')}timing"

    def output(self, name: str) -> str:
        """The topic of one of the pictures that are made of the image."""
        return f"{self.base}segmentation/{name}"


def camera_topics(topics: Sequence[str]) -> list[CameraTopics]:
    """The names of the cameras whose images are on `topics`.

    One camera's base is "". Of several, it is the topic's namespace (`/front/image_raw` -> `/front/`), or the whole
    topic as a namespace where two cameras share one (`/left_image`, `/right_image` -> `/left_image/`, `/right_image/`).
    """
    if len(topics) == 1:
        return [CameraTopics(topics[0], "")]
    spaces = [_namespace(topic) for topic in topics]
    return [
        CameraTopics(topic, space if space.strip("/") and spaces.count(space) == 1 else f"{topic}/")
        for space, topic in zip(spaces, topics, strict=True)
    ]


def full_name(topic: str, namespace: str, node: str) -> str:
    """A topic's name as ROS resolves it for a node in a namespace, when nothing is remapped."""
    home = "/".join(["", *filter(None, namespace.split("/"))])
    if topic.startswith("/"):
        return topic
    return f"{home}/{node}{topic[1:]}" if topic.startswith("~") else f"{home}/{topic}"


def resolved(node: Any, topic: str) -> str:
    """The full name that the node's rules give a topic, remapped."""
    return str(node.resolve_topic_name(topic))


def beside(node: Any, topic: str, suffix: str) -> str:
    """What belongs to a topic, as image_transport names it: it moves with the topic, unless it is remapped itself."""
    own = topic + suffix
    return resolved(node, own) if _remapped(node, own) else resolved(node, topic) + suffix


def info_topic(node: Any, names: CameraTopics) -> str:
    """The calibration: beside the image, where camera drivers put it, wherever that is remapped to."""
    if _remapped(node, names.image) and not _remapped(node, names.camera_info):
        return f"{resolved(node, names.image).rpartition('/')[0]}/camera_info"
    return resolved(node, names.camera_info)


def _remapped(node: Any, topic: str) -> bool:
    return resolved(node, topic) != node.resolve_topic_name(topic, only_expand=True)


def _namespace(topic: str) -> str:
    """ "/front/image" -> "/front/", "image" -> "" """
    namespace, slash, _ = topic.rpartition("/")
    return namespace + slash
