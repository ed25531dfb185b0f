"""Topics and messages of a recorded bag, without ROS: rosbag2 (sqlite3, mcap; compressed; split) and ROS 1."""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.interfaces import Qos
from rosbags.serde import SerdeError

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_files import Ros1File, first_line, parts_of, reading
from dcfm_ros.media.messages import COMPRESSED_IMAGE, IMAGE, own_typestore, typestore
from dcfm_ros.media.storage import ZSTD_MAGIC, Channel, Damaged, Part, unzstd
from dcfm_ros.stamps import to_ns

# Messages that a topic's rate is taken from: enough for a median that one wrong clock does not change.
_RATE_FROM = 16
IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its name, message type (`package/msg/Name`) and number of messages."""

    name: str
    type: str
    count: int


class RawMessage(NamedTuple):
    """A serialized message with all that is needed to write it into another bag; `data` is None where it cannot be."""

    topic: str
    kind: str
    definition: str
    type_hash: str
    qos: tuple[Qos, ...]
    time_ns: int
    data: bytes | memoryview | None


class Bag:
    """A recording opened for reading: its topics, and its messages one at a time.

    problem: what is missing of it, as far as is known; after reading, what was announced and did not come; ""
    where nothing is missing.
    Raises DcfmError: damaged, cut off, missing files or nothing in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self._parts, notes = parts_of(path)
            self.is_ros1 = isinstance(self._parts[0], Ros1File)
            self.topics = _topics(self._parts)
        # In order, each once.
        self._problems = dict.fromkeys(notes)
        if not any(topic.count for topic in self.topics):
            raise DcfmError(f"The bag {path} is empty: {self.problem or 'it holds no messages'}.")

    @property
    def problem(self) -> str:
        return "; ".join(self._problems)

    def messages(self, *names: str) -> Iterator[tuple[str, int, Any]]:
        """Yield (topic, log time in ns, message) of the topics named, in log-time order.

        A message has the fields of its ROS type as attributes. Memory in use is that of one message (one chunk, where
        the bag is compressed in chunks). Messages that cannot be read are left out; `problem` then tells them.
        Raises DcfmError: the bag is damaged from here on; or, at the end, it did not hold all that it
        announces.
        """
        store = typestore(ros1=True) if self.is_ros1 else self._ros2_types(names)
        deserialize = store.deserialize_ros1 if self.is_ros1 else store.deserialize_cdr
        for channel, time_ns, data in self._read(names):
            try:
                message = deserialize(data, channel.type)
            except Exception as error:  # whatever the deserializer stumbles over
                self._tell(f"a message of {channel.topic} does not fit its type ({first_line(error)})")
                continue
            yield channel.topic, time_ns, message

    def raw(self) -> Iterator[RawMessage]:
        """Yield every message of the bag serialized for ROS 2 (CDR), in log-time order.

        Messages of ROS 1 are converted; `data` is None for those whose type is not known.
        Raises DcfmError: the bag is damaged from here on.
        """
        # A topic of several publishers has the profiles of all.
        profiles: dict[str, dict[Qos, None]] = {}
        for part in self._parts:
            for channel in part.channels:
                profiles.setdefault(channel.topic, {}).update(dict.fromkeys(channel.qos))
        for channel, time_ns, data in self._read(None):
            yield RawMessage(
                channel.topic,
                channel.type,
                channel.definition,
                channel.type_hash,
                tuple(profiles[channel.topic]),
                time_ns,
                _cdr_of(data, channel),
            )

    def rate(self, name: str) -> float | None:
        """How many messages per second a topic has, by the first of them; None where that cannot be told.

        By their own stamps, or where these stand still or are none, by the times of recording. A single wrong clock
        does not change it.
        """
        first: list[tuple[str, int, Any]] = []
        with contextlib.suppress(DcfmError):  # it comes again for whoever reads on
            first.extend(itertools.islice(self.messages(name), _RATE_FROM))
        stamps = [stamp_ns(message) for _, _, message in first if hasattr(message, "header")]
        return _rate(stamps) or _rate([time_ns for _, time_ns, _ in first])

    def _read(self, names: tuple[str, ...] | None) -> Iterator[tuple[Channel, int, bytes]]:
        """The messages as the files hold them, unpacked. Raises DcfmError at the end where fewer came than announced."""
        counts: Counter[str] = Counter()
        with reading(self.path):
            for part in self._parts:
                for channel, time_ns, data in part.messages(names):
                    counts[channel.topic] += 1
                    try:
                        data = unzstd(data) if data[:4] == ZSTD_MAGIC else data
                    except Damaged as error:
                        self._tell(f"a message of {channel.topic} could not be read: {error}")
                        continue
                    yield channel, time_ns, data
        lost = [
            f"{topic.count - counts[topic.name]} of {topic.count} messages of {topic.name} could not be read"
            for topic in self.topics
            if (names is None or topic.name in names) and counts[topic.name] < topic.count
        ]
        if lost:
            raise DcfmError(f"The bag {self.path} is damaged: {'; '.join(lost)}.")

    def _tell(self, problem: str) -> None:
        self._problems[problem] = None

    def _ros2_types(self, names: tuple[str, ...]) -> Any:
        """Standard types are enough for images; this package's own are loaded only where a topic has them."""
        own = any(topic.type.startswith("dcfm_ros/") for topic in self.topics if topic.name in names)
        return own_typestore() if own else typestore()


def _cdr_of(data: bytes, channel: Channel) -> bytes | memoryview | None:
    """A message as ROS 2 serializes it; None for a type that ROS 2 does not have, or has otherwise."""
    if channel.serialization == "cdr":
        return data
    try:
        known = channel.serialization == "ros1" and channel.type in typestore().types
        return typestore().ros1_to_cdr(data, channel.type) if known else None
    except SerdeError:
        return None


def _topics(parts: list[Part]) -> list[Topic]:
    """The topics of all parts. Those in a format that is none of ROS have it in their type, so that nobody takes them for
    images."""
    counts: Counter[tuple[str, str]] = Counter()
    for part in parts:
        for channel in part.channels:
            readable = channel.serialization == ("ros1" if isinstance(part, Ros1File) else "cdr")
            kind = channel.type if readable else f"{channel.type} ({channel.serialization})"
            counts[channel.topic, kind] += channel.count
    return [Topic(name, kind, count) for (name, kind), count in sorted(counts.items())]


def _rate(times: list[int]) -> float | None:
    steps = [after - before for before, after in itertools.pairwise(times)]
    forward = [step for step in steps if step > 0]
    return 1e9 / statistics.median(forward) if 2 * len(forward) > len(steps) else None


def stamp_ns(message: Any) -> int:
    """The header stamp of a message in nanoseconds."""
    return to_ns(message.header.stamp)


class Stamps:
    """The stamps of a topic's messages, which are asked for in their order.

    One zero is a stamp, as of a simulation that begins there; two in succession are none, and log times stand in.
    """

    def __init__(self, bag: Bag, topic: str) -> None:
        self._before = 0
        with contextlib.suppress(DcfmError):  # whoever reads the messages is told
            first = itertools.islice(bag.messages(topic), 2)
            self._before = int(any(stamp_ns(message) for _, _, message in first))

    def of(self, message: Any, time_ns: int) -> int:
        """The stamp of the next message, logged at `time_ns`."""
        own, before = stamp_ns(message), self._before
        self._before = own
        return own if own or before else time_ns
