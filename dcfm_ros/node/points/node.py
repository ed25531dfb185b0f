"""The node: what comes in is matched by stamp, placed in space and published."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import OccupancyGrid
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from dcfm_ros.arrays import Mask
from dcfm_ros.config import from_mapping
from dcfm_ros.errors import DcfmError, one_line
from dcfm_ros.measure.table import counted
from dcfm_ros.media.diagnostics import ERROR, OK, WARN, Status
from dcfm_ros.model.classes import CAMVID, spread_color
from dcfm_ros.node.camera_info import image_size
from dcfm_ros.node.convert import message_to_rgb
from dcfm_ros.node.diagnostics import status_message
from dcfm_ros.node.points.matcher import ExactTime
from dcfm_ros.node.points.messages import cloud_message, depth_of, grid_message, mask_of, points_of_cloud
from dcfm_ros.node.points.mounts import Fixed, FromTf
from dcfm_ros.node.points.parameters import CLOUD, DEPTH, GROUND, PointsConfig, ids_of, table
from dcfm_ros.node.publish import LATCHED, LabelInfo
from dcfm_ros.node.ros_parameters import declared
from dcfm_ros.space.camera import Camera, camera_of
from dcfm_ros.space.cloud import labelled_points, points_of_depth
from dcfm_ros.space.ground import Grid, Kinds, free_space, occupancy
from dcfm_ros.stamps import NS_PER_S, to_ns

DEMAND_S = 0.2  # how soon a new subscriber is noticed
LOG_PERIOD_S = 5.0
MASK, CONFIDENCE, INFO = (f"segmentation/{name}" for name in ("mask", "confidence", "camera_info"))


class PointsNode(Node):
    """Publishes labelled points, or free space on the ground. Subscribes to its inputs only while somebody subscribes to it."""

    def __init__(self, **arguments: Any) -> None:
        """Raises DcfmError for parameters that make no sense, and for TF where tf2_ros is not installed."""
        super().__init__("dcfm_points", **arguments)
        self._config = config = declared(self, table(), partial(from_mapping, PointsConfig))
        self._mount = (
            (FromTf(self, config) if config.mount == "tf" else Fixed(config))
            if config.source == GROUND
            else None
        )
        self._grid = Grid(round(config.grid_size_m / config.grid_resolution_m), config.grid_resolution_m)
        self._use_names(config.class_names)
        self._camera: tuple[str, Camera] | None = None
        self._subscriptions_made: list[Any] = []
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()  # since the last /diagnostics
        self._reported: Counter[str] = Counter()
        self._matcher = ExactTime(self._inputs(), config.queue)
        kind, topic = (OccupancyGrid, "grid") if config.source == GROUND else (PointCloud2, "points")
        self._output = self.create_publisher(kind, f"segmentation/{topic}", 5)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DEMAND_S, self._follow_demand, clock=steady)
        self.create_timer(config.diagnostics_period_s, self._diagnose, clock=steady)
        if LabelInfo is not None:
            self.create_subscription(LabelInfo, "segmentation/label_info", self._on_label_info, LATCHED)

    # -- what comes in ----------------------------------------------------------------------------------------------

    def _inputs(self) -> dict[str, type]:
        """Topics that are matched by stamp, the mask first."""
        config = self._config
        inputs: dict[str, type] = {MASK: Image}
        if config.source != CLOUD:
            inputs[INFO] = CameraInfo
        if config.confidence:
            inputs[CONFIDENCE] = Image
        if config.source == DEPTH and config.colours == "image":
            inputs["image"] = Image
        return inputs | {DEPTH: {"depth": Image}, CLOUD: {"points": PointCloud2}, GROUND: {}}[config.source]

    def _follow_demand(self) -> None:
        wanted = self._output.get_subscription_count() > 0
        if wanted and not self._subscriptions_made:
            qos = QoSProfile(depth=self._config.queue, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._matcher = ExactTime(self._inputs(), self._config.queue)
            self._subscriptions_made = [
                self.create_subscription(kind, topic, partial(self._on_message, topic), qos)
                for topic, kind in self._inputs().items()
            ]
        elif not wanted and self._subscriptions_made:
            for subscription in self._subscriptions_made:
                self.destroy_subscription(subscription)
            self._subscriptions_made = []

    def _on_label_info(self, message: Any) -> None:
        named = {entry.class_id: entry.class_name for entry in message.class_map}
        try:
            self._use_names(tuple(named.get(number, "") for number in range(max(named, default=-1) + 1)))
        except DcfmError as error:
            self._fail(str(error))

    def _use_names(self, names: tuple[str, ...]) -> None:
        config = self._config
        if config.source == GROUND:
            drivable, obstacles = (
                ids_of(getattr(config, what), names, what) for what in ("drivable", "obstacles")
            )
            self._kinds = Kinds(drivable, obstacles)
        else:
            self._wanted = ids_of(config.classes, names, "classes")
        known = dict(zip(CAMVID.names, CAMVID.colors))
        colours = [known.get(name, spread_color(number)) for number, name in enumerate(names)]
        self._palette = np.zeros((256, 3), np.uint8)
        self._palette[: len(colours)] = colours

    def _on_message(self, topic: str, message: Any) -> None:
        self._counts[topic] += 1
        group = self._matcher.add(topic, to_ns(message.header.stamp), message)
        if group is None:
            return
        try:
            self._output.publish(
                self._grid_of(group) if self._config.source == GROUND else self._cloud_of(group)
            )
            self._counts["published"] += 1
        except DcfmError as error:
            self._fail(str(error))

    def _fail(self, reason: str) -> None:
        self._counts["failed"] += 1
        self._reasons[reason] += 1
        self.get_logger().error(one_line(reason), throttle_duration_sec=LOG_PERIOD_S)

    # -- what goes out ----------------------------------------------------------------------------------------------

    def _cloud_of(self, group: dict[str, Any]) -> PointCloud2:
        mask, confidence = self._masks(group)
        if self._config.source == DEPTH:
            depth = depth_of(group["depth"])
            self._same_size("depth", depth.shape, mask)
            header, points = group["depth"].header, points_of_depth(depth, self._camera_of(group))
            rgb = message_to_rgb(group["image"]) if "image" in group else None
        else:
            header = group["points"].header
            points, rgb = points_of_cloud(group["points"])
            self._same_size("the cloud", points.shape, mask)
        if self._config.colours == "classes" or rgb is None:
            rgb = self._palette[mask]
        self._same_size("image", rgb.shape, mask)
        reach = (self._config.min_range_m, self._config.max_range_m)
        found = labelled_points(points, mask, confidence, rgb, self._wanted, reach, self._config.voxel_m)
        return cloud_message(header, found)

    def _grid_of(self, group: dict[str, Any]) -> OccupancyGrid:
        config, header = self._config, group[MASK].header
        age = (self.get_clock().now().nanoseconds - to_ns(header.stamp)) / NS_PER_S
        if age > config.max_age_s:
            raise DcfmError(
                f"the mask is {age:.1f} s old, more than max_age_s; is this node's clock the camera's (use_sim_time)?"
            )
        mask, confidence = self._masks(group)
        camera = self._camera_of(group)
        assert self._mount is not None
        state, weight = free_space(
            mask, confidence, camera, self._mount.at(header), self._grid, self._kinds, config.max_range_m
        )
        values = occupancy(state, weight, age, config.half_life_s, config.min_confidence)
        return grid_message(header.stamp, config.ground_frame, self._grid, values)

    def _masks(self, group: dict[str, Any]) -> tuple[Mask, Mask]:
        mask = mask_of(group[MASK], "the mask")
        if CONFIDENCE not in group:
            return mask, np.full_like(mask, 255)
        confidence = mask_of(group[CONFIDENCE], "the confidence")
        self._same_size("the confidence", confidence.shape, mask)
        return mask, confidence

    def _same_size(self, what: str, shape: tuple[int, ...], mask: Mask) -> None:
        if shape[:2] != mask.shape:
            raise DcfmError(
                f"{what} is {shape[1]}×{shape[0]}, the mask {mask.shape[1]}×{mask.shape[0]}; they must be registered: one "
                f"view, one size (mask_size of dcfm_node)"
            )

    def _camera_of(self, group: dict[str, Any]) -> Camera:
        """Raises DcfmError where the calibration is not that of this mask, or none."""
        info, size = group[INFO], (group[MASK].width, group[MASK].height)
        calibrated = image_size(info)
        if calibrated != size:
            raise DcfmError(
                f"the calibration is for {calibrated[0]}×{calibrated[1]} pixels, the mask is {size[0]}×{size[1]}; take "
                f"dcfm_node's segmentation/camera_info"
            )
        matrix = np.array(info.p if self._config.rectified else info.k, float).reshape(3, -1)[:, :3]
        binning = np.maximum([info.binning_x, info.binning_y], 1)
        matrix[:2] /= binning[:, None]
        matrix[:2, 2] -= [info.roi.x_offset, info.roi.y_offset] / binning
        lens = () if self._config.rectified else info.d
        key = repr((matrix.tolist(), list(lens), info.distortion_model, size))
        if self._camera is None or self._camera[0] != key:
            self._camera = key, camera_of(matrix, size, lens, info.distortion_model)
        return self._camera[1]

    # -- what is told -----------------------------------------------------------------------------------------------

    def _diagnose(self) -> None:
        counts = self._counts | Counter(unmatched=self._matcher.lost)
        new = counts - self._reported
        name = str(self.get_fully_qualified_name()).lstrip("/")
        told = {key: counts[key] for key in ("published", "failed", "unmatched")}
        status = Status(f"{name}: points", *self._judge(new), {"received": counts[MASK], **told})
        array = DiagnosticArray(status=[status_message(status, name)])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
        self._reported, self._reasons = counts, Counter()

    def _judge(self, new: Counter[str]) -> tuple[int, str]:
        if self._reasons:
            reason, _ = self._reasons.most_common(1)[0]
            return ERROR, f"{counted(self._reasons.total(), 'mask')} not placed: {reason}"
        if not self._subscriptions_made:
            return OK, "nobody subscribes"
        if new["published"]:
            return OK, f"{counted(new['published'], 'mask')} placed"
        if silent := [self.resolve_topic_name(topic) for topic in self._inputs() if not new[topic]]:
            return WARN, f"no messages arrive on {', '.join(silent)}"
        return WARN, f"no messages with the same stamp on {', '.join(self._inputs())}"
