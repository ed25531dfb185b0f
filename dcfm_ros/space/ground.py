"""Free space from a mask and the ground plane, without depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.arrays import Floats, Mask
from dcfm_ros.errors import DcfmError
from dcfm_ros.space.camera import Camera

FREE, OCCUPIED, UNKNOWN = 0, 100, -1  # as in nav_msgs/OccupancyGrid
_FOLLOWED = (4, 8)  # pixels
_BODY_TO_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True, eq=False)
class Mount:
    """Where a camera is above the ground plane z = 0 (x ahead, y left, z up)."""

    turn: NDArray[np.float64]  # 3×3, from the camera's frame (z forward, x right, y down) to the ground's
    eye: NDArray[np.float64]  # metres


@dataclass(frozen=True)
class Grid:
    """A square of `cells` × `cells`, each `resolution` metres wide, with the origin of the ground's frame in its middle."""

    cells: int
    resolution: float

    @property
    def corner(self) -> float:
        """x and y of the first cell's outer corner."""
        return -self.cells * self.resolution / 2

    def centres(self) -> NDArray[np.float64]:
        """N×3: the cells' centres on the ground, row by row along x, as an OccupancyGrid has them."""
        line = self.corner + (np.arange(self.cells) + 0.5) * self.resolution
        y, x = np.meshgrid(line, line, indexing="ij")
        return np.column_stack([x.ravel(), y.ravel(), np.zeros(self.cells**2)])


@dataclass(frozen=True)
class Kinds:
    """Of every class id whether it is drivable, and whether it stands on the ground as an obstacle: bool 256 each."""

    drivable: NDArray[np.bool_]
    obstacle: NDArray[np.bool_]


def mount_of_angles(height: float, pitch: float, roll: float, ahead: float = 0.0) -> Mount:
    """A camera `height` metres above the ground and `ahead` of its frame's origin.

    pitch, roll: radians, as in ROS: positive pitch looks down, positive roll leans to the right.
    """
    cp, sp, cr, sr = math.cos(pitch), math.sin(pitch), math.cos(roll), math.sin(roll)
    nod = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    lean = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return Mount(nod @ lean @ _BODY_TO_OPTICAL, np.array([ahead, 0.0, height]))


def mount_of_pose(
    position: tuple[float, float, float], orientation: tuple[float, float, float, float]
) -> Mount:
    """That of a transform from the camera's frame to the ground's: metres, and a quaternion (x, y, z, w).

    Raises DcfmError for numbers that are no pose.
    """
    x, y, z, w = np.asarray(orientation, float)
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not (np.isfinite(position).all() and length > 0.5 and math.isfinite(length)):
        raise DcfmError(f"the camera's pose is not valid: position {position}, orientation {orientation}")
    x, y, z, w = np.array([x, y, z, w]) / length
    turn = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return Mount(np.array(turn), np.array(position, float))


def on_ground(rays: NDArray[np.floating], mount: Mount) -> NDArray[np.float64]:
    """Where rays (N×2: x/z, y/z) meet the ground: x and y, N×2 metres; NaN for those that do not."""
    way = rays.astype(float) @ mount.turn[:, :2].T + mount.turn[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.where(way[:, 2] < 0, -mount.eye[2] / way[:, 2], np.nan)
        return np.asarray(mount.eye[:2] + length[:, None] * way[:, :2])


def free_space(
    mask: Mask, confidence: Mask, camera: Camera, mount: Mount, grid: Grid, kinds: Kinds, reach: float
) -> tuple[NDArray[np.int8], Floats]:
    """What a mask says of the ground around the robot.

    A cell is FREE where its middle is seen as a drivable class, OCCUPIED where an obstacle has its foot: the lowest pixel of
    it above a drivable one, or above the picture's lower border. Else it is UNKNOWN: not seen, hidden, of another class.

    mask, confidence: uint8 H×W of the camera's size. reach: metres from the camera that are looked at.
    Returns State int8 and confidence float32 (0-1) of every cell, cells × cells, rows along x from the lowest
    y.
    Raises DcfmError: the camera is not above the ground, or sees none of it.
    """
    if mount.eye[2] <= 0:
        raise DcfmError(f"the camera is {mount.eye[2]:g} m above the ground; expected more than 0")
    centres = grid.centres()
    near = np.hypot(*(centres[:, :2] - mount.eye[:2]).T) <= reach
    where, seen = camera.pixels((centres - mount.eye) @ mount.turn)
    seen &= near
    if not seen.any():
        raise DcfmError(
            f"the camera sees no ground within {reach:g} m: it looks above it or away from it; check its pitch and height"
        )
    state = np.full(grid.cells**2, UNKNOWN, np.int8)
    weight = np.zeros(grid.cells**2, np.float32)
    rows, columns = where.T
    free = seen & kinds.drivable[mask[rows, columns]]
    state[free] = FREE
    weight[free] = confidence[rows, columns][free] / np.float32(255)
    cells, sure = _feet(mask, confidence, camera, mount, grid, kinds, reach)
    weight[cells] = 0
    np.maximum.at(weight, cells, sure)
    state[cells] = OCCUPIED
    shape = (grid.cells, grid.cells)
    return state.reshape(shape), weight.reshape(shape)


def _feet(
    mask: Mask, confidence: Mask, camera: Camera, mount: Mount, grid: Grid, kinds: Kinds, reach: float
) -> tuple[NDArray[np.intp], Floats]:
    """Cells in which obstacles stand, as often as they are seen, and the confidences."""
    foot = kinds.obstacle[mask]
    foot[:-1] &= kinds.drivable[mask[1:]]
    rows, columns = np.nonzero(foot)
    standing = ~_beside(kinds.obstacle[mask], rows, columns, camera, mount)
    rows, columns = rows[standing], columns[standing]
    below = np.minimum(rows + 1, len(mask) - 1)
    place = on_ground((camera.rays[rows, columns] + camera.rays[below, columns]) / 2, mount)
    with np.errstate(invalid="ignore"):
        kept = np.hypot(*(place - mount.eye[:2]).T) <= reach
        cell = np.floor((place - grid.corner) / grid.resolution)
        kept &= ((cell >= 0) & (cell < grid.cells)).all(1)
    x, y = cell[kept].astype(np.intp).T
    return y * grid.cells + x, confidence[rows[kept], columns[kept]] / np.float32(255)


def _beside(
    obstacle: NDArray[np.bool_],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    camera: Camera,
    mount: Mount,
) -> NDArray[np.bool_]:
    """Which of these pixels lie on the upright side of an obstacle, and are no foot though the pixel below is drivable.

    Upright edges lean in the picture of a camera that is pitched: their own line, followed down, has the obstacle beside it.
    """
    x, y = camera.rays[rows, columns].T
    down = -mount.turn[2]
    lean = (
        camera.k[0, 0] * (down[0] - x * down[2]) / (camera.k[1, 1] * np.maximum(down[1] - y * down[2], 1e-3))
    )
    beside = np.zeros(len(rows), bool)
    for far in _FOLLOWED:
        lower = np.minimum(rows + far, len(obstacle) - 1)
        line = np.clip(np.rint(columns + lean * far)[:, None] + [-1, 0, 1], 0, obstacle.shape[1] - 1)
        beside |= obstacle[lower[:, None], line.astype(np.intp)].any(1) & (lower == rows + far)
    return beside


def occupancy(
    state: NDArray[np.int8], weight: Floats, age_s: float, half_life_s: float, least: float
) -> NDArray[np.int8]:
    """0 to 100 as an OccupancyGrid has them: the less sure and the older, the nearer to 50; below `least` (0-1) -1."""
    sure = weight * np.float32(0.5 ** (max(age_s, 0.0) / half_life_s))
    value = np.rint(50 + np.where(state == OCCUPIED, 50, -50) * sure)
    return np.where((state == UNKNOWN) | (sure < least), UNKNOWN, value).astype(np.int8)
