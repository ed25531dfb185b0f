"""Writes the recordings the tests read: small, real bags of every kind, with `rosbags`."""

from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
STORE2 = get_typestore(Stores.ROS2_HUMBLE)
STORE1 = get_typestore(Stores.ROS1_NOETIC)
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000


def picture(index, size=(64, 48)):
    """uint8 H×W×3 RGB with colours that tell the channels and the frames apart."""
    width, height = size
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.linspace(0, 250, width, dtype=np.uint8)
    rgb[..., 1] = np.linspace(0, 120, height, dtype=np.uint8)[:, None]
    rgb[..., 2] = (37 * index) % 256
    return rgb


def stamp_of(index):
    return START_NS + index * PERIOD_NS


def header(store, stamp_ns, frame_id="camera"):
    time = store.types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    extra = {"seq": 0} if store is STORE1 else {}
    return store.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id, **extra)


def image(pixels, stamp_ns, *, store=STORE2, encoding="rgb8", padding=0):
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    data = np.pad(rows, ((0, 0), (0, padding))).reshape(-1)
    step = rows.shape[1] + padding
    return store.types[IMAGE](
        header=header(store, stamp_ns),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=data,
    )


def compressed(pixels, stamp_ns, *, store=STORE2, suffix=".png"):
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    data = cv2.imencode(suffix, bgr)[1].reshape(-1)
    return store.types[COMPRESSED](header=header(store, stamp_ns), format=suffix[1:], data=data)


def string(text):
    return STORE2.types["std_msgs/msg/String"](data=text)


def write_ros2(path: Path, entries, *, storage=StoragePlugin.MCAP, compression=None, version=8):
    """Write (topic, type, time_ns, message) entries into a rosbag2 folder."""
    writer = Writer(path, version=version, storage_plugin=storage)
    if compression is not None:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    return _written(path, writer, entries, STORE2, STORE2.serialize_cdr)


def write_ros1(path: Path, entries, *, compression=None):
    """Write (topic, type, time_ns, message) entries into a ROS 1 bag."""
    writer = Ros1Writer(path)
    if compression is not None:
        writer.set_compression(compression)
    return _written(path, writer, entries, STORE1, STORE1.serialize_ros1)


def _written(path, writer, entries, store, serialize):
    with writer:
        connections = {}
        for topic, kind, time_ns, message in entries:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], time_ns, serialize(message, kind))
    return path


def camera_entries(count, *, topic="/camera/image", store=STORE2, first=0, size=(64, 48)):
    for index in range(first, first + count):
        stamp = stamp_of(index)
        yield topic, IMAGE, stamp + 1_000_000, image(picture(index, size), stamp, store=store)


def split_ros2(path: Path, counts, *, size=(64, 48), **kwargs):
    """A rosbag2 folder of several storage files, as `ros2 bag record --max-bag-size` leaves behind."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    path.mkdir()
    total, first, names, start = 0, 0, [], None
    merged = None
    for part, count in enumerate(counts):
        folder = write_ros2(path / f"part{part}", camera_entries(count, first=first, size=size), **kwargs)
        info = yaml.load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
        file = folder / info["relative_file_paths"][0]
        name = f"bag_{part}{''.join(file.suffixes)}"
        file.rename(path / name)
        (folder / "metadata.yaml").unlink()
        folder.rmdir()
        names.append(name)
        merged = merged or info
        start = start or info["starting_time"]["nanoseconds_since_epoch"]
        total, first = total + count, first + count
    merged["relative_file_paths"] = names
    merged["message_count"] = total
    merged["duration"]["nanoseconds"] = (total - 1) * PERIOD_NS
    merged["topics_with_message_count"][0]["message_count"] = total
    merged["files"] = []
    with (path / "metadata.yaml").open("w") as file:
        yaml.dump({"rosbag2_bagfile_information": merged}, file)
    return path


__all__ = ["CompressionMode", "StoragePlugin"]
