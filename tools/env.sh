# Source this file after `make setup`: the Python environment, ROS 2, this package and its messages in this shell.
# Where a ROS 2 distribution has been sourced before, that one is used; else the wheels in .venv.

_dcfm_root=$(cd "$(dirname "${BASH_SOURCE:-$0}")/.." && pwd)
[ -f "$_dcfm_root/tools/env.sh" ] || _dcfm_root=$(pwd) # a shell that does not tell where a sourced file lies

_dcfm_suffix=${ROS_DISTRO:+-$ROS_DISTRO}
if [ ! -d "$_dcfm_root/.venv$_dcfm_suffix" ]; then
    echo "$_dcfm_root/.venv$_dcfm_suffix does not exist: run \`make setup\` there, in this shell" >&2
    return 1
fi
. "$_dcfm_root/.venv$_dcfm_suffix/bin/activate"
if [ -z "$_dcfm_suffix" ]; then
    export AMENT_PREFIX_PATH="$VIRTUAL_ENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
    export CMAKE_PREFIX_PATH="$VIRTUAL_ENV${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}"
    export LD_LIBRARY_PATH="$VIRTUAL_ENV/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
if [ -f "$_dcfm_root/install$_dcfm_suffix/local_setup.sh" ]; then
    COLCON_CURRENT_PREFIX="$_dcfm_root/install$_dcfm_suffix"
    . "$COLCON_CURRENT_PREFIX/local_setup.sh"
fi
# Modules come from the tree, so that new ones are there at once; the built messages from the installation.
export PYTHONPATH="$_dcfm_root${PYTHONPATH:+:$PYTHONPATH}"
unset _dcfm_root _dcfm_suffix COLCON_CURRENT_PREFIX
