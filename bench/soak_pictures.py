"""The messages of a soak's camera, good ones and bad ones of every kind, raw and compressed."""

from __future__ import annotations

import random
import struct
from array import array
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.config import Size

PICTURES = 6
"""Different ones, one after the other, again and again."""


@lru_cache(64)
def _pixels(number: int, size: Size) -> np.ndarray:
    """Smooth waves, different in every picture: cheap, so that a camera is soon there."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = [
        np.sin(x / (9 + 4 * c) + number / (2 + c)) + np.cos(y / (13 - 3 * c) - number / 3) for c in range(3)
    ]
    return np.clip(127 + 60 * np.dstack(waves), 0, 255).astype(np.uint8)


@lru_cache(64)
def _jpeg(number: int, size: Size) -> bytes:
    done, data = cv2.imencode(".jpg", _pixels(number, size)[:, :, ::-1])
    assert done
    return bytes(data)


def good(number: int, size: Size, *, compressed: bool) -> Any:
    """A frame that can be used; its header is to be filled in."""
    number %= PICTURES
    if compressed:
        return CompressedImage(format="rgb8; jpeg compressed bgr8", data=_data(_jpeg(number, size)))
    return _raw("rgb8", size[1], size[0], 3 * size[0], _pixels(number, size).tobytes())


def damaged(rng: random.Random, size: Size, *, compressed: bool) -> Any:
    """Bytes are missing, or are not what they were."""
    message = good(rng.randrange(PICTURES), size, compressed=compressed)
    data = bytes(message.data)
    if compressed:
        short = data[: rng.randrange(len(data) // 10, 9 * len(data) // 10)]
        head = data.index(b"\xff\xc0")  # of the frame; the picture is the same without what comes first
        message.data = _data(rng.choice([short, b"", data[:head] + bytes(18) + data[head + 18 :]]))
    else:
        message.data = _data(rng.choice([data[: rng.randrange(len(data))], data + b"1"]))
    return message


def unknown(rng: random.Random, size: Size, *, compressed: bool) -> Any:
    """A picture of a kind that is not read."""
    if compressed:
        head = rng.choice([b"GIF89a", b"BM", b"RIFF", b"<svg>", b"no picture at all"])
        return CompressedImage(format="gif", data=_data(head + rng.randbytes(500)))
    return _raw(
        rng.choice(["rgb565", "", "8UC7", "rgb8 "]), size[1], size[0], size[0], bytes(size[0] * size[1])
    )


def absurd(rng: random.Random, size: Size, *, compressed: bool) -> Any:
    """A header that asks for far too many pixels, or for none."""
    side = rng.choice([30_000, 65_535])
    if not compressed:
        side = rng.choice([0, side, 2**31, 2**32 - 1])
        return _raw("rgb8", side, side, min(3 * side, 2**32 - 1), bytes(3 * size[0] * size[1]))
    if rng.random() < 0.5:
        chunk = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(chunk)) + b"IHDR" + chunk + bytes(100)
        return CompressedImage(format="png", data=_data(data))
    jpeg = bytearray(_jpeg(0, size))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return CompressedImage(format="jpeg", data=_data(bytes(jpeg)))


BAD = {"damaged picture": damaged, "unknown kind of picture": unknown, "absurd size": absurd}


def calibration(size: Size) -> CameraInfo:
    """A pinhole camera's."""
    width, height = size
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5)
    info.k = [float(width), 0.0, width / 2, 0.0, float(width), height / 2, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [float(width), 0.0, width / 2, 0.0, 0.0, float(width), height / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def misfit(rng: random.Random, size: Size) -> CameraInfo:
    """A calibration of no use."""
    info = calibration(size)
    kind = rng.randrange(4)
    if kind == 0:
        info.width, info.height = rng.randrange(1, 5000), rng.randrange(1, 5000)
    elif kind == 1:
        info.k, info.p = [0.0] * 9, [0.0] * 12
    elif kind == 2:
        info.k = [float("nan")] * 9
    else:
        info.binning_x, info.roi.width, info.roi.x_offset = 2**32 - 1, 2**32 - 1, 2**32 - 1
    return info


def _raw(encoding: str, height: int, width: int, step: int, data: bytes) -> Image:
    return Image(height=height, width=width, encoding=encoding, step=step, data=_data(data))


def _data(data: bytes) -> array:
    values = array("B")
    values.frombytes(data)
    return values
