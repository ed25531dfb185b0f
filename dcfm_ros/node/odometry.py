"""nav_msgs/Odometry to the stream's pose."""

from __future__ import annotations

from nav_msgs.msg import Odometry

from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmentation import Pose


def pose_of(message: Odometry) -> Pose:
    """Position in metres and orientation as a quaternion, in the odometry's fixed frame."""
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    return Pose(
        (position.x, position.y, position.z), (orientation.x, orientation.y, orientation.z, orientation.w)
    )


def wants_odometry(config: StreamConfig) -> bool:
    """Whether a trigger uses the robot's motion."""
    return config.odometry_distance_m > 0 or config.odometry_angle_deg > 0
