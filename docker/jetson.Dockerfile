# The node on a Jetson with JetPack 6 (Ubuntu 22.04, hence Humble), to be built there:
#   docker build -f docker/jetson.Dockerfile -t dcfm_ros:jetson .
#   docker run --rm --runtime nvidia --network host --shm-size 1g dcfm_ros:jetson
ARG L4T=r36.4.0
FROM nvcr.io/nvidia/l4t-jetpack:${L4T}
# NVIDIA's own builds of PyTorch for this JetPack; those of PyPI do not know its GPU.
ARG WHEELS=https://pypi.jetson-ai-lab.io/jp6/cu126
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 ROS_DISTRO=humble
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl g++ \
    && curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key -o /usr/share/keyrings/ros.gpg \
    && echo "deb [signed-by=/usr/share/keyrings/ros.gpg] http://packages.ros.org/ros2/ubuntu jammy main" \
        > /etc/apt/sources.list.d/ros2.list \
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
    && venv/bin/pip install --no-cache-dir torch --index-url "$WHEELS" \
    && venv/bin/pip install --no-cache-dir -r src/dcfm_ros/tools/robot.txt
ENV PATH=/ws/venv/bin:$PATH
COPY . src/dcfm_ros
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" && colcon build --packages-select dcfm_ros
ENTRYPOINT ["/ws/src/dcfm_ros/docker/entrypoint.sh"]
CMD ["ros2", "launch", "dcfm_ros", "dcfm.launch.py"]
