"""The camera of `bench/node.py`, a process of its own: sends images of a size at a rate, as it is told."""

from __future__ import annotations

import itertools
import sys
import time
from array import array
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from dcfm_lab.bench.frames import street
from dcfm_ros.config import Size
from dcfm_ros.node.harness.control import Commands, report
from dcfm_ros.stamps import set_ns


def main() -> int:
    """Sends what it is told: commands are `WIDTH HEIGHT RATE COUNT`; reports when it is done and how many were late."""
    rclpy.init(args=[])
    node = Node("camera")
    images = node.create_publisher(Image, "image", qos_profile_sensor_data)
    infos = node.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
    commands = Commands()
    report("ready")
    while (command := commands.next(0.2)) != Commands.END:
        if command is None:
            continue
        width, height, rate, count = command.split()
        late = _send(images, infos, (int(width), int(height)), float(rate), int(count))
        report("sent", late=late)
    rclpy.try_shutdown()
    return 0


def _send(images: Any, infos: Any, size: Size, rate: float, count: int) -> int:
    """Sends `count` images; how many of them were more than half a period late."""
    messages = [_image(cv2.resize(frame[:, :, ::-1], size)) for frame in street((480, 360))]
    info = CameraInfo(height=size[1], width=size[0])
    begin, late = time.perf_counter(), 0
    for number, message in zip(range(count), itertools.cycle(messages), strict=False):
        wait = begin + number / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        late += wait < -0.5 / rate
        # The stamp is taken last: a mask's arrival less its stamp holds nothing of the camera's own work.
        set_ns(message.header.stamp, time.time_ns())
        images.publish(message)
        info.header = message.header
        infos.publish(info)
    return late


def _image(pixels: np.ndarray) -> Image:
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding="bgr8", step=3 * pixels.shape[1])
    message.header.frame_id = "camera"
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    message.data = data
    return message


if __name__ == "__main__":
    sys.exit(main())
