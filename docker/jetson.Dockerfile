# The node on a Jetson with JetPack 6 (Ubuntu 22.04, hence Humble), to be built there:
#   docker build -f docker/jetson.Dockerfile -t dcfm_ros:jetson --build-arg BASE=IMAGE --build-arg WHEELS=INDEX .
#   docker run --rm --runtime nvidia --network host --shm-size 1g dcfm_ros:jetson
# IMAGE is NVIDIA's l4t-jetpack for the board's L4T (in their NGC catalogue). INDEX is where NVIDIA's own builds of PyTorch for
# this JetPack come from (their "Installing PyTorch for Jetson Platform" tells): others do not know the GPU.
ARG BASE
FROM ${BASE}
ARG WHEELS
# What adds ROS 2 to apt's sources: a release of github.com/ros-infrastructure/ros-apt-source.
ARG ROS_APT_SOURCE=1.1.0
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 ROS_DISTRO=humble
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl g++ \
    && curl -fsSL -o /tmp/ros.deb "https://github.com/ros-infrastructure/ros-apt-source/releases/download/${ROS_APT_SOURCE}/ros2-apt-source_${ROS_APT_SOURCE}.jammy_all.deb" \
    && dpkg -i /tmp/ros.deb \
    && apt-get update \
    && apt-get install -y --no-install-recommends \
        python3-colcon-common-extensions python3-rosdep python3-venv ros-humble-ros-base \
    && rosdep init \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /ws
COPY package.xml src/dcfm_ros/package.xml
COPY tools/robot.txt src/dcfm_ros/tools/robot.txt
# JetPack's OpenCV stays.
RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src --ignore-src -y --skip-keys "rviz2 python3-opencv" \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv --system-site-packages venv \
    && touch venv/COLCON_IGNORE \
    && venv/bin/pip install --no-cache-dir torch --index-url "${WHEELS:?the index that has PyTorch for this JetPack, see above}" \
    && venv/bin/pip install --no-cache-dir -r src/dcfm_ros/tools/robot.txt
ENV PATH=/ws/venv/bin:$PATH
COPY . src/dcfm_ros
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" && colcon build --packages-select dcfm_ros
ENTRYPOINT ["/ws/src/dcfm_ros/docker/entrypoint.sh"]
CMD ["ros2", "launch", "dcfm_ros", "dcfm.launch.py"]
