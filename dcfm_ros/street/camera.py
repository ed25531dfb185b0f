"""The camera on the car: where it is, how it shakes, what it projects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street.street import Motion, Street
from dcfm_ros.street.style import Style


class Pose(NamedTuple):
    """Where the camera's body frame (x forward, y left, z up) is in the world.

    `position` (x, y, z) metres; `orientation` unit quaternion (x, y, z, w).
    """

    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float]


@dataclass(frozen=True)
class Camera:
    """`turn` 3×3: rows right, down, forward in the world; `eye` float64 3; `focal` pixels; `center` pixels (x, y)."""

    turn: NDArray[np.float64]
    eye: NDArray[np.float64]
    focal: float
    center: tuple[float, float]
    s: float
    pose: Pose


def camera_at(style: Style, street: Street, motion: Motion, size: tuple[int, int], t: float) -> Camera:
    """The camera at time `t`: in the middle of the left lane, nodding and rolling a little with the road."""
    width, height = size
    s = motion.distance(t)
    d = street.lane * 0.5 + 0.12 * np.sin(0.31 * t + style.phase)
    spot = street.place(s, d)
    wobble = style.shake * motion.speed(t) / max(style.speed, 0.1)
    accelerate = (motion.speed(t + 0.05) - motion.speed(t - 0.05)) / 0.1
    pitch = style.camera_pitch - 0.004 * accelerate
    pitch += wobble * (
        0.0028 * np.sin(8.1 * t) + 0.0016 * np.sin(13.7 * t + 1.0) + 0.002 * np.sin(2.3 * t + 0.5)
    )
    roll = wobble * (0.003 * np.sin(5.3 * t + 2.0) + 0.002 * np.sin(1.7 * t))
    yaw = float(street.heading(s + 5.0)) + 0.004 * np.sin(0.6 * t)
    eye = np.array([spot[0], spot[1], style.camera_height + wobble * 0.012 * np.sin(7.0 * t + 0.3)])
    body = _rotation(yaw, pitch, roll)
    forward, left, up = body.T
    focal = width / (2 * np.tan(style.fov / 2))
    pose = Pose((float(eye[0]), float(eye[1]), float(eye[2])), _quaternion(body))
    return Camera(np.stack([-left, -up, forward]), eye, focal, (width / 2, height * 0.49), s, pose)


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Body to world; positive pitch looks up, positive roll leans right."""
    cy, sy, cp, sp, cr, sr = (
        np.cos(yaw),
        np.sin(yaw),
        np.cos(pitch),
        np.sin(pitch),
        np.cos(roll),
        np.sin(roll),
    )
    turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    nod = np.array([[cp, 0, -sp], [0, 1, 0], [sp, 0, cp]])
    lean = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return np.asarray(turn @ nod @ lean)


def _quaternion(m: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """(x, y, z, w) of a rotation matrix whose turn is less than 180 degrees, as a forward drive's is."""
    w = np.sqrt(max(0.0, 1.0 + m[0, 0] + m[1, 1] + m[2, 2])) / 2
    x = np.copysign(np.sqrt(max(0.0, 1.0 + m[0, 0] - m[1, 1] - m[2, 2])) / 2, m[2, 1] - m[1, 2])
    y = np.copysign(np.sqrt(max(0.0, 1.0 - m[0, 0] + m[1, 1] - m[2, 2])) / 2, m[0, 2] - m[2, 0])
    z = np.copysign(np.sqrt(max(0.0, 1.0 - m[0, 0] - m[1, 1] + m[2, 2])) / 2, m[1, 0] - m[0, 1])
    return float(x), float(y), float(z), float(w)
