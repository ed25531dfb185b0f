"""Where the camera is: from TF, where tf2_ros is installed, or from parameters."""

from __future__ import annotations

from math import radians
from typing import Any

from rclpy.node import Node
from rclpy.time import Time

from dcfm_ros.errors import DcfmError, one_line
from dcfm_ros.node.points.parameters import PointsConfig
from dcfm_ros.space.ground import Mount, mount_of_angles, mount_of_pose

try:
    import tf2_ros
except ImportError:
    tf2_ros = None


class Fixed:
    """The place that the parameters say."""

    def __init__(self, config: PointsConfig) -> None:
        self._mount = mount_of_angles(
            config.height_m, radians(config.pitch_deg), radians(config.roll_deg), config.ahead_m
        )

    def at(self, header: Any) -> Mount:
        """The mount of the camera that took the image with this header."""
        return self._mount


class FromTf:
    """The transform from the camera's frame to the ground's, at the time of each image."""

    def __init__(self, node: Node, config: PointsConfig) -> None:
        """Raises DcfmError where tf2_ros is not installed."""
        if tf2_ros is None:
            raise DcfmError(
                "mount is tf, but the package tf2_ros is not installed; install it, or set mount to parameters, and "
                "height_m, pitch_deg and roll_deg to the camera's"
            )
        self._frame = config.ground_frame
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def at(self, header: Any) -> Mount:
        """Raises DcfmError where TF does not know it, or no longer."""
        try:
            found = self._buffer.lookup_transform(self._frame, header.frame_id, Time.from_msg(header.stamp))
        except tf2_ros.TransformException as error:
            raise DcfmError(
                f"no transform from '{header.frame_id}' to '{self._frame}' at the mask's time: {one_line(error)}"
            ) from error
        place, turn = found.transform.translation, found.transform.rotation
        return mount_of_pose((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
