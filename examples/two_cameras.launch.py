"""Two cameras on one node, which share the model and take turns with their key frames.

`ros2 launch examples/two_cameras.launch.py front:=/front/image_raw rear:=/rear/image_raw`; the masks are
`/front/segmentation/mask` and `/rear/segmentation/mask`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    node = PathJoinSubstitution([FindPackageShare("dcfm_ros"), "launch", "dcfm.launch.py"])
    topics = ["[", LaunchConfiguration("front"), ", ", LaunchConfiguration("rear"), "]"]
    return LaunchDescription(
        [
            DeclareLaunchArgument("front", default_value="/front/image_raw", description="image topic"),
            DeclareLaunchArgument("rear", default_value="/rear/image_raw", description="image topic"),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(node),
                launch_arguments=[("image_topics", topics), ("key_period_ms", "500")],
            ),
        ]
    )
