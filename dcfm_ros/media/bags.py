"""Topics and messages of a recorded bag, without ROS: rosbag2 (sqlite3, mcap; compressed; split) and ROS 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.serde import SerdeError

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_files import Part, Ros1Part, parts_of, reading
from dcfm_ros.media.messages import COMPRESSED_IMAGE, IMAGE, own_typestore, typestore
from dcfm_ros.stamps import to_ns

IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its name, message type (`package/msg/Name`), number of messages and mean rate in Hz."""

    name: str
    type: str
    count: int
    rate: float


class RawMessage(NamedTuple):
    """A serialized message with all that is needed to write it into another bag."""

    topic: str
    kind: str
    definition: str
    type_hash: str
    time_ns: int
    data: bytes | memoryview | None


class Bag:
    """A recording opened for reading: its topics, and its messages one at a time.

    Attributes:
        problem: what is missing of it; "" where it is whole.

    Raises:
        DcfmError: damaged, cut off, missing files or nothing in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self._parts = parts_of(path)
            self.is_ros1 = isinstance(self._parts[0], Ros1Part)
            self.topics = _merge_topics(self._parts)
        self.problem = "; ".join(part.problem for part in self._parts if part.problem)
        if not any(topic.count for topic in self.topics):
            raise DcfmError(f"The bag {path} is empty: {self.problem or 'it holds no messages'}.")

    def messages(self, *names: str) -> Iterator[tuple[str, int, Any]]:
        """Yield (topic, log time in ns, message) of the topics named, in log-time order.

        A message has the fields of its ROS type as attributes. Memory in use is that of one message (one chunk, where
        the bag is compressed in chunks).

        Raises:
            DcfmError: the bag is damaged from here on; or a message does not fit its type.
        """
        store = typestore(ros1=True) if self.is_ros1 else self._ros2_types(names)
        deserialize = store.deserialize_ros1 if self.is_ros1 else store.deserialize_cdr
        with reading(self.path):
            for part in self._parts:
                for connection, time_ns, data in part.messages(names):
                    yield connection.topic, time_ns, deserialize(data, connection.msgtype)

    def raw(self) -> Iterator[RawMessage]:
        """Yield every message of the bag serialized for ROS 2 (CDR), in log-time order.

        Messages of ROS 1 are converted; `data` is None for those whose type is not known.

        Raises:
            DcfmError: the bag is damaged from here on.
        """
        with reading(self.path):
            for part in self._parts:
                for connection, time_ns, data in part.messages():
                    kind, definition = connection.msgtype, connection.msgdef.data
                    if not self.is_ros1:
                        yield RawMessage(connection.topic, kind, definition, connection.digest, time_ns, data)
                        continue
                    yield RawMessage(connection.topic, kind, "", "", time_ns, _cdr_of_ros1(data, kind))

    def _ros2_types(self, names: tuple[str, ...]) -> Any:
        """Standard types are enough for images; this package's own are loaded only where a topic has them."""
        own = any(topic.type.startswith("dcfm_ros/") for topic in self.topics if topic.name in names)
        return own_typestore() if own else typestore()


def _cdr_of_ros1(data: bytes, kind: str) -> bytes | memoryview | None:
    """A ROS 1 message as ROS 2 serializes it; None for a type that ROS 2 does not have, or has otherwise."""
    try:
        return typestore().ros1_to_cdr(data, kind) if kind in typestore().types else None
    except SerdeError:
        return None


def _merge_topics(parts: list[Part]) -> list[Topic]:
    counts: dict[tuple[str, str], int] = {}
    start, end = 2**63, 0
    for part in parts:
        first, last, topics = part.summary()
        if topics:
            start, end = min(start, first), max(end, last)
        for key, count in topics.items():
            counts[key] = counts.get(key, 0) + count
    seconds = max(0, end - start) / 1e9
    return [
        Topic(name, kind, count, (count - 1) / seconds if seconds and count > 1 else 0.0)
        for (name, kind), count in sorted(counts.items())
    ]


def stamp_ns(message: Any) -> int:
    """The header stamp of a message in nanoseconds."""
    return to_ns(message.header.stamp)
