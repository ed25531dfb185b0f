# Source this file (bash, zsh or sh, from anywhere after `cd` to the project's folder): ROS 2, this package with its
# messages, and the Python environment that `make setup` made.
#
# Where a ROS 2 distribution has been sourced before, that one is used; else the wheels in .venv.

_dcfm_root=$(pwd)
. "$_dcfm_root/.venv/bin/activate"
if [ -z "${ROS_DISTRO:-}" ]; then
    export AMENT_PREFIX_PATH="$VIRTUAL_ENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
    export CMAKE_PREFIX_PATH="$VIRTUAL_ENV${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}"
    export LD_LIBRARY_PATH="$VIRTUAL_ENV/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
if [ -f "$_dcfm_root/install/setup.sh" ]; then
    COLCON_CURRENT_PREFIX="$_dcfm_root/install" . "$_dcfm_root/install/local_setup.sh"
fi
unset _dcfm_root
