"""ROS messages without ROS: the types this project reads and writes in bags, and functions that fill them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dcfm_ros.errors import DcfmError, printable
from dcfm_ros.media.diagnostics import HARDWARE_ID, Status
from dcfm_ros.media.health import FrameCounts, timing_fields
from dcfm_ros.share import share_path
from dcfm_ros.stamps import set_ns
from dcfm_ros.stream.segmentation import Segmentation

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
FRAME_TIMING = "dcfm_ros/msg/FrameTiming"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
ODOMETRY = "nav_msgs/msg/Odometry"

JPEG_QUALITY = 90


@functools.lru_cache(maxsize=2)
def typestore(*, ros1: bool = False) -> Typestore:
    """The standard message types, by name, with their serializers."""
    return get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)


@functools.lru_cache(maxsize=1)
def own_typestore() -> Typestore:
    """The standard ROS 2 message types and this package's own."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    definition = share_path("msg", "FrameTiming.msg").read_text(encoding="utf-8")
    store.register(get_types_from_msg(definition, FRAME_TIMING))
    return store


def message(kind: str, **fields: Any) -> Any:
    """A message of the type `kind` (`package/msg/Name`) with these fields; all must be given."""
    return own_typestore().types[kind](**fields)


def header(stamp_ns: int, frame_id: str) -> Any:
    """A std_msgs/Header."""
    stamp = message("builtin_interfaces/msg/Time", sec=0, nanosec=0)
    set_ns(stamp, stamp_ns)
    return message("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def picture(pixels: np.ndarray, stamp_ns: int, frame_id: str) -> Any:
    """An Image of uint8 pixels, rows without padding: `mono8` of H×W, `rgb8` of H×W×3 RGB."""
    height, width = pixels.shape[:2]
    return message(
        IMAGE,
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="mono8" if pixels.ndim == 2 else "rgb8",
        is_bigendian=0,
        step=width * (1 if pixels.ndim == 2 else pixels.shape[2]),
        data=np.ascontiguousarray(pixels).reshape(-1),
    )


def jpeg(rgb: np.ndarray, stamp_ns: int, frame_id: str, quality: int = JPEG_QUALITY) -> Any:
    """A CompressedImage of uint8 H×W×3 RGB pixels: for pictures that people look at, never for masks."""
    return message(
        COMPRESSED_IMAGE,
        header=header(stamp_ns, frame_id),
        format="rgb8; jpeg compressed bgr8",
        data=np.frombuffer(encode_jpeg(rgb, quality), np.uint8),
    )


def encode_jpeg(rgb: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG bytes of uint8 H×W×3 RGB pixels."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not ok:
        raise DcfmError(f"OpenCV cannot encode an image of shape {rgb.shape} as JPEG.")
    return data.tobytes()


def frame_timing(
    result: Segmentation, frame_id: str, counts: FrameCounts, *, convert_ms: float, latency_ms: float
) -> Any:
    """A FrameTiming message of an offline run, in which nothing is published and nothing gets lost on the way."""
    total_ms = result.timing.total + convert_ms
    return message(
        FRAME_TIMING,
        header=header(result.stamp_ns, frame_id),
        key_stamp=header(result.key_stamp_ns, "").stamp,
        **timing_fields(
            result, counts, convert_ms=convert_ms, publish_ms=0.0, total_ms=total_ms, latency_ms=latency_ms
        ),
    )


def diagnostics(stamp_ns: int, statuses: Iterable[Status]) -> Any:
    """A DiagnosticArray."""
    return message(
        DIAGNOSTICS, header=header(stamp_ns, ""), status=[_diagnostic_status(status) for status in statuses]
    )


def _diagnostic_status(status: Status) -> Any:
    return message(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=status.level,
        name=status.name,
        message=printable(status.message),
        hardware_id=HARDWARE_ID,
        values=[
            message("diagnostic_msgs/msg/KeyValue", key=key, value=printable(str(value)))
            for key, value in status.values.items()
        ],
    )
