"""Frames and messages of recorded bags: rosbag2 (sqlite3, mcap; compressed; split) and ROS 1, without ROS.

Reading is done by `rosbags`, which raises whatever its parsers stumble over in a damaged file; everything it raises
becomes one `DcfmError` here, at the border.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader
from rosbags.serde import SerdeError
from ruamel.yaml import YAML

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.image_decode import decode_compressed, decode_image
from dcfm_ros.media.mended_mcap import MendedMcap, is_cut_off
from dcfm_ros.media.messages import COMPRESSED_IMAGE, IMAGE, own_typestore, typestore
from dcfm_ros.media.source import Frame, Source, natural_key
from dcfm_ros.stream.stopwatch import Stopwatch

IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)
_STORAGE_SUFFIXES = (".mcap", ".db3")
_COMPRESSED_SUFFIX = ".zstd"
_PART_NUMBER = re.compile(r"_(\d+)(?:\.(?:mcap|db3|bag|zstd))+$")


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


def is_bag(path: Path) -> bool:
    """Whether the path looks like a bag: by name and layout, not by content."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or _is_one(list(path.glob("*.bag")) or _storage_files(path))
    return path.suffix in (*_STORAGE_SUFFIXES, ".bag", _COMPRESSED_SUFFIX)


def _is_one(files: list[Path]) -> bool:
    """Whether these are one recording: a single file, or parts as recorders number them, from 0 on (`drive_0.mcap`)."""
    numbers = [_PART_NUMBER.search(file.name) for file in files]
    parts = {int(number[1]) for number in numbers if number}
    return len(files) == 1 or (0 in parts and len(parts) == len(files))


class Bag:
    """A recording opened for reading: its topics, and its messages one at a time.

    Attributes:
        problem: what is missing of it; "" where it is whole.

    Raises:
        DcfmError: damaged, cut off, missing files or nothing in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path):
            self._parts = _parts(path)
            self.is_ros1 = isinstance(self._parts[0], _Ros1Part)
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
        with _reading(self.path):
            for part in self._parts:
                for topic, kind, time_ns, data in part.raw(names):
                    yield topic, time_ns, deserialize(data, kind)

    def raw(self) -> Iterator[RawMessage]:
        """Yield every message of the bag serialized for ROS 2 (CDR), in log-time order.

        Messages of ROS 1 are converted; `data` is None for those whose type is not known.

        Raises:
            DcfmError: the bag is damaged from here on.
        """
        with _reading(self.path):
            for part in self._parts:
                for connection, time_ns, data in part.all():
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


def _merge_topics(parts: list[_Part]) -> list[Topic]:
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


class _Part:
    """One file of a bag, or a whole folder that `rosbags` reads in one go. Open only while something is read."""

    reader: Any
    problem = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        with self.reader(self.path) as reader:
            yield reader

    def summary(self) -> tuple[int, int, dict[tuple[str, str], int]]:
        """First and last log time in ns, and the number of messages by (topic, type)."""
        counts: dict[tuple[str, str], int] = {}
        with self.opened() as reader:
            for connection in reader.connections:
                key = (connection.topic, connection.msgtype)
                counts[key] = counts.get(key, 0) + connection.msgcount
            return reader.start_time, reader.end_time - 1, counts

    def raw(self, names: tuple[str, ...]) -> Iterator[tuple[str, str, int, bytes]]:
        """Yield (topic, type, log time, serialized message)."""
        with self.opened() as reader:
            wanted = [connection for connection in reader.connections if connection.topic in names]
            if wanted:
                for connection, time_ns, data in reader.messages(wanted):
                    yield connection.topic, connection.msgtype, time_ns, data

    def all(self) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (connection, log time, serialized message) of every topic."""
        with self.opened() as reader:
            yield from reader.messages()


class _Ros1Part(_Part):
    reader = Ros1Reader


class _Ros2Part(_Part):
    reader = Ros2Reader


class _CutOffPart(_Part):
    """An .mcap whose end is missing."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._mended = MendedMcap(path)
        self.problem = (
            f"{path.name} is cut off: its index and its last {self._mended.lost} bytes could not be read"
        )

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        with Ros2Reader(cast(Any, self._mended)) as reader:
            yield reader


class _ZstdPart(_Ros2Part):
    """A storage file compressed as a whole: unpacked to a temporary file, one at a time, while it is read."""

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        with tempfile.TemporaryDirectory(prefix="dcfm_bag_") as folder:
            unpacked = Path(folder) / self.path.stem
            with _zstd().open(self.path, "rb") as packed, unpacked.open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
            with Ros2Reader(unpacked) as reader:
                yield reader


def _zstd() -> Any:
    # What `rosbags` itself uses: part of Python from 3.14 on, a package before.
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _parts(path: Path) -> list[_Part]:
    if path.suffix == ".bag" and path.is_file():
        return [_Ros1Part(path)]
    if path.is_file():
        if path.stat().st_size == 0:
            raise DcfmError(f"The bag {path} is an empty file.")
        return [_ros2_part(path)]
    if (path / "metadata.yaml").exists():
        files = _listed_files(path)
        parts = [_ros2_part(file) for file in files]
        return parts if any(type(part) is not _Ros2Part for part in parts) else [_Ros2Part(path)]
    ros1 = sorted(path.glob("*.bag"))
    if ros1:
        return [_Ros1Part(file) for file in ros1]
    # A recorder that was killed leaves no metadata.yaml; the storage files stand on their own.
    return [_ros2_part(file) for file in _storage_files(path)]


def _ros2_part(file: Path) -> _Part:
    """A storage file by itself."""
    if file.suffix == _COMPRESSED_SUFFIX:
        return _ZstdPart(file)
    return _CutOffPart(file) if file.suffix == MendedMcap.suffix and is_cut_off(file) else _Ros2Part(file)


def _storage_files(folder: Path) -> list[Path]:
    names = [*_STORAGE_SUFFIXES, *(suffix + _COMPRESSED_SUFFIX for suffix in _STORAGE_SUFFIXES)]
    return sorted((file for file in folder.iterdir() if file.name.endswith(tuple(names))), key=natural_key)


def _listed_files(folder: Path) -> list[Path]:
    """The storage files a metadata.yaml lists.

    Raises:
        DcfmError: no valid metadata, or files missing.
    """
    try:
        loaded = YAML(typ="safe").load((folder / "metadata.yaml").read_text())
        names = loaded["rosbag2_bagfile_information"]["relative_file_paths"]
        files = [folder / Path(name).name for name in names]
    except Exception as error:
        raise DcfmError(
            f"{folder / 'metadata.yaml'} is not valid rosbag2 metadata ({_first_line(error)}); "
            f"rebuild it with `ros2 bag reindex {folder}`, or remove it: the storage files are read without it, too."
        ) from error
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise DcfmError(f"The bag {folder} lacks {', '.join(missing)}, which its metadata.yaml lists.")
    if not files:
        raise DcfmError(f"The bag {folder} is empty: its metadata.yaml lists no files.")
    return files


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file makes the parsers raise into one message."""
    try:
        yield
    except (DcfmError, MemoryError):
        raise
    except PermissionError as error:
        raise DcfmError(f"No permission to read the bag {path}.") from error
    except Exception as error:
        raise DcfmError(
            f"The bag {path} is damaged or cut off ({_first_line(error)}). A recording that was not ended properly can "
            f"often be repaired: `mcap recover` for .mcap, `ros2 bag reindex` for a folder, `rosbag reindex` for ROS 1."
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__


class BagSource(Source):
    """The images of one topic of a bag. Stamps are the header stamps, or the log times where those are zero."""

    def __init__(self, path: Path, topic: str | None = None, labels: str | None = None) -> None:
        super().__init__(path)
        self.bag = Bag(path)
        self.kind = "rosbag1" if self.bag.is_ros1 else "rosbag2"
        chosen = _choose(self.bag, topic, labels)
        self.topic = chosen.name
        self.length = chosen.count
        self.rate = chosen.rate or None

    def _frames(self) -> Iterator[Frame]:
        index, self.problem = 0, self.bag.problem
        try:
            for _, time_ns, message in self.bag.messages(self.topic):
                watch = Stopwatch()
                try:
                    rgb = to_rgb(message)
                except DcfmError as error:
                    self.skipped[str(error)] += 1
                else:
                    stamp = stamp_ns(message) or time_ns
                    yield Frame(rgb, stamp, time_ns, message.header.frame_id, f"{index:06d}", watch.total())
                index += 1
        except DcfmError as error:
            if index == 0:
                raise
            stopped = f"reading stopped after {index} of {self.length} images: {error}"
            self.problem = "; ".join(text for text in (self.problem, stopped) if text)


def to_rgb(message: Any) -> np.ndarray:
    """The picture of an Image or CompressedImage message as uint8 H×W×3 RGB.

    Raises:
        DcfmError: unknown encoding, wrong length or no image.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.format, message.data)
    return decode_image(
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )


def stamp_ns(message: Any) -> int:
    """The header stamp of a message in nanoseconds."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def _choose(bag: Bag, name: str | None, labels: str | None) -> Topic:
    """The topic asked for, or the only image topic beside the one with labels.

    Raises:
        DcfmError: no such topic, not an image topic, no image topic at all, or several.
    """
    images = [topic for topic in bag.topics if topic.type in IMAGE_TYPES]
    if name is None:
        found = [topic for topic in images if topic.count and topic.name != labels]
        if len(found) == 1:
            return found[0]
        if found:
            raise DcfmError(
                f"The bag {bag.path} has {len(found)} image topics; choose one with --topic:\n{_table(found)}"
            )
        raise DcfmError(f"The bag {bag.path} has no image topic with messages. It has:\n{_table(bag.topics)}")
    chosen = [topic for topic in bag.topics if topic.name == name]
    if not chosen:
        raise DcfmError(
            f"The bag {bag.path} has no topic {name!r}. Its image topics:\n{_table(images or bag.topics)}"
        )
    if chosen[0].type not in IMAGE_TYPES:
        raise DcfmError(
            f"The topic {name!r} of {bag.path} is {chosen[0].type}; expected {' or '.join(IMAGE_TYPES)}. "
            f"Its image topics:\n{_table(images)}"
        )
    if not chosen[0].count:
        raise DcfmError(f"The topic {name!r} of {bag.path} has no messages.")
    return chosen[0]


def _table(topics: list[Topic]) -> str:
    if not topics:
        return "  (none)"
    name_width = max(len(topic.name) for topic in topics)
    type_width = max(len(topic.type) for topic in topics)
    return "\n".join(
        f"  {topic.name:<{name_width}}  {topic.type:<{type_width}}  {topic.count:6d} messages  {topic.rate:6.2f} Hz"
        for topic in topics
    )
