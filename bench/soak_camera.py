"""Another camera for a soak, a process of its own that is there to be killed: sends frames until somebody does.

python bench/soak_camera.py raw|compressed
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from soak_pictures import good

from dcfm_ros.node.publish import reliable
from dcfm_ros.stamps import set_ns

FRAME_ID = "guest"
SIZE = (320, 240)
PERIOD_S = 0.1


def main() -> None:
    """Does not return."""
    compressed = sys.argv[1] == "compressed"
    rclpy.init(args=[])
    node = Node("soak_guest")
    kind, topic = (CompressedImage, "image/compressed") if compressed else (Image, "image")
    publisher = node.create_publisher(kind, topic, reliable(5))
    for number in itertools.count():
        message = good(number, SIZE, compressed=compressed)
        message.header.frame_id = FRAME_ID
        set_ns(message.header.stamp, time.time_ns())
        publisher.publish(message)
        time.sleep(PERIOD_S)


if __name__ == "__main__":
    main()
