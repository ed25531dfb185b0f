"""The parameters of `dcfm_points`. Needs no ROS."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.config import check, setting
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import CAMVID
from dcfm_ros.node.parameters import AT_START, Parameter

GROUND, DEPTH, CLOUD = "ground", "depth", "cloud"
ALL = "all"
_OBSTACLES = tuple(name for name in CAMVID.names if name not in ("sky", "road"))


@dataclass(frozen=True)
class PointsConfig:
    """What comes in, what is kept of it, and where the camera is.

    Raises DcfmError, naming the field, for a value that makes no sense.
    """

    source: str = setting(
        DEPTH,
        "depth: a depth image of the mask's size; cloud: an organised point cloud of its size; ground: no depth, the "
        "mask is projected to the ground plane",
        choices=(DEPTH, CLOUD, GROUND),
    )
    class_names: tuple[str, ...] = setting(
        CAMVID.names,
        "names of the mask's classes in the order of their ids; segmentation/label_info overrides them",
    )
    confidence: bool = setting(True, "use segmentation/confidence; false: every pixel counts as certain")
    colours: str = setting(
        "image",
        "of the points: the image's (with source cloud: the cloud's own), or the classes'",
        choices=("image", "classes"),
    )
    classes: tuple[str, ...] = setting((ALL,), "names of the classes whose points are published, or all")
    min_range_m: float = setting(0.2, "points nearer to the camera are left out", 0.0, 1000.0)
    max_range_m: float = setting(
        10.0, "points, and ground, further from the camera are left out", 0.1, 1000.0
    )
    voxel_m: float = setting(
        0.05, "edge of the cubes in which only the most certain point is kept; 0: all are kept", 0.0, 10.0
    )
    drivable: tuple[str, ...] = setting(("road",), "names of the classes that are free in the grid")
    obstacles: tuple[str, ...] = setting(
        _OBSTACLES, "names of the classes that are occupied in the grid at their foot"
    )
    grid_size_m: float = setting(20.0, "edge of the grid, with the robot in its middle", 1.0, 200.0)
    grid_resolution_m: float = setting(0.1, "edge of a cell", 0.01, 2.0)
    min_confidence: float = setting(0.3, "grid cells of less confidence are unknown", 0.0, 1.0)
    half_life_s: float = setting(0.5, "age at which a mask counts half in the grid", 0.01, 3600.0)
    max_age_s: float = setting(1.0, "no grid is made from older masks", 0.01, 3600.0)
    mount: str = setting(
        "tf",
        "where the camera is: tf, or the parameters height_m, pitch_deg, roll_deg, ahead_m",
        choices=("tf", "parameters"),
    )
    ground_frame: str = setting("base_footprint", "frame on the ground, x ahead and z up: the grid's")
    height_m: float = setting(1.0, "height of the camera above the ground", 0.01, 100.0)
    pitch_deg: float = setting(0.0, "positive: the camera looks down", -90.0, 90.0)
    roll_deg: float = setting(0.0, "positive: the camera leans to the right", -90.0, 90.0)
    ahead_m: float = setting(0.0, "how far the camera is ahead of the ground frame", -100.0, 100.0)
    rectified: bool = setting(
        False, "the images are rectified: use P of camera_info, not K and the distortion"
    )
    queue: int = setting(15, "messages of a topic that wait for those with the same stamp", 1, 1000)
    diagnostics_period_s: float = setting(1.0, "seconds from one /diagnostics to the next", 0.1, 60.0)

    def __post_init__(self) -> None:
        check(self)
        if self.min_range_m >= self.max_range_m:
            raise DcfmError(
                f"min_range_m is {self.min_range_m:g}; expected less than max_range_m, {self.max_range_m:g}"
            )
        if both := set(self.drivable) & set(self.obstacles):
            raise DcfmError(f"classes cannot be both drivable and obstacles: {', '.join(sorted(both))}")


def table() -> list[Parameter]:
    """Every parameter of the node; all are read at the start only."""
    return [Parameter(PointsConfig, item, AT_START) for item in fields(PointsConfig)]


def ids_of(wanted: tuple[str, ...], names: tuple[str, ...], what: str) -> NDArray[np.bool_]:
    """Of every class id (256) whether it is wanted. Raises DcfmError, naming the parameter `what`, for unknown names."""
    if unknown := [name for name in wanted if name not in (*names, ALL)]:
        raise DcfmError(
            f"{what} names '{unknown[0]}', which is no class of the mask; known: {', '.join(filter(None, names))}"
        )
    table = np.zeros(256, bool)
    table[: len(names)] = [ALL in wanted or name in wanted for name in names]
    return table
