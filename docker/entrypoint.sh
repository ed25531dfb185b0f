#!/bin/bash
# ROS and the workspace, then the command.
set -e
. "/opt/ros/$ROS_DISTRO/setup.bash"
. /ws/install/local_setup.bash
exec "$@"
