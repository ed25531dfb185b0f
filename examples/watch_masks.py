"""Prints which share of each mask every class fills: `python examples/watch_masks.py --ros-args -r __ns:=/front`."""

import numpy as np
import rclpy
from sensor_msgs.msg import Image


def on_mask(message: Image) -> None:
    mask = np.asarray(message.data).reshape(message.height, message.width)  # class ids, 255: none
    ids, counts = np.unique(mask, return_counts=True)
    print({int(i): round(float(count) / mask.size, 3) for i, count in zip(ids, counts)}, flush=True)


rclpy.init()
node = rclpy.create_node("watch_masks")
node.create_subscription(Image, "segmentation/mask", on_mask, 1)
rclpy.spin(node)
