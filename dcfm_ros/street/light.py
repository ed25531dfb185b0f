"""Sun, sky, haze and exposure of one moment, and the shadow map that belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street.mesh import Mesh
from dcfm_ros.street.raster import shadow_depth
from dcfm_ros.street.style import Style
from dcfm_ros.street.textures import Textures

SHADOW_CELLS = 896
SHADOW_CELLS_PER_METRE = 11.0
CONTACT_CELLS = 640
CONTACT_CELLS_PER_METRE = 7.0


Triple = tuple[float, float, float]


class Light(NamedTuple):
    """Linear RGB unless said otherwise, as the kernels read it. `toward_sun` is a unit vector."""

    toward_sun: Triple
    sun: Triple
    zenith: Triple
    horizon: Triple
    ground: Triple
    haze: float
    cloud_cover: float
    cloud_offset: tuple[float, float]
    exposure: float
    cloud_tone: float


def light_at(style: Style, t: float) -> Light:
    """The light `t` seconds into the drive: clouds drift over the sun, the camera's exposure follows slowly."""
    azimuth, elevation = style.sun_azimuth, style.sun_elevation
    direction = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    warm = np.clip(1.0 - elevation / 0.7, 0.0, 1.0)
    veil = 0.5 + 0.5 * np.sin(0.21 * t + style.phase) * np.sin(0.083 * t + 2 * style.phase)
    strength = style.sun_strength * (1.0 - style.sun_flicker * veil)
    sun = strength * np.array([1.0, 0.93 - 0.22 * warm, 0.82 - 0.42 * warm])
    overcast = style.overcast
    clear = np.array([0.22, 0.42, 0.85]) * style.sky_level
    grey = np.array([0.74, 0.78, 0.84]) * style.sky_level
    zenith = clear * (1 - overcast) + grey * overcast
    rim = np.array([0.85, 0.88 - 0.06 * warm, 0.92 - 0.2 * warm]) * style.sky_level
    horizon = rim * (1.0 - 0.1 * overcast)
    bounce = 0.16 * (zenith + horizon) * 0.5 + 0.14 * sun * max(direction[2], 0.1)
    exposure = style.exposure * (1.0 + 0.05 * np.sin(0.37 * t + style.phase) + 0.03 * np.sin(0.91 * t))
    return Light(
        toward_sun=_triple(direction),
        sun=_triple(sun),
        zenith=_triple(zenith),
        horizon=_triple(horizon),
        ground=_triple(bounce),
        haze=float(style.haze),
        cloud_cover=float(style.cloud_cover),
        cloud_offset=(float(3.0 * t + 200 * style.phase), float(1.3 * t)),
        exposure=float(exposure),
        cloud_tone=float(style.cloud_tone),
    )


def _triple(vector: NDArray[np.float64]) -> Triple:
    x, y, z = map(float, vector)
    return x, y, z


@dataclass(frozen=True)
class ShadowMap:
    """What the sun sees around a place: `depth` as `shadow_depth` gives it, `turn` 3×3 and `eye` of the sun's view."""

    depth: NDArray[np.float32]
    turn: NDArray[np.float64]
    eye: NDArray[np.float64]


def shadow_map(mesh: Mesh, textures: Textures, light: Light, around: NDArray[np.float64]) -> ShadowMap:
    """The shadow map of 81×81 m around a point; its cells are fixed in the world, so that shadows do not crawl."""
    forward = -np.array(light.toward_sun)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    turn = np.stack([right, down, forward])
    cells = np.round(turn[:2] @ around * SHADOW_CELLS_PER_METRE) / SHADOW_CELLS_PER_METRE
    eye = turn.T @ np.array([cells[0], cells[1], 0.0])
    depth = shadow_depth(mesh, textures, SHADOW_CELLS, turn, eye, SHADOW_CELLS_PER_METRE)
    return ShadowMap(depth, turn, eye)


@dataclass(frozen=True)
class ContactMap:
    """How much light the ground keeps under and beside things: `keep` float32 n×n, cell (0, 0) at `origin` (metres)."""

    keep: NDArray[np.float32]
    origin: NDArray[np.float64]


def contact_map(
    footprints: NDArray[np.float64], strengths: NDArray[np.float64], around: NDArray[np.float64]
) -> ContactMap:
    """Soft darkening around ground polygons `footprints` N×4×2 (metres), each keeping 1 - strength of the light."""
    step = 1.0 / CONTACT_CELLS_PER_METRE
    half = CONTACT_CELLS / 2 * step
    origin = np.round((around[:2] - half) / step) * step
    dark = np.zeros((CONTACT_CELLS, CONTACT_CELLS), np.float32)
    cells = (footprints - origin) / step
    near = np.all(cells.max(1) > 0, 1) & np.all(cells.min(1) < CONTACT_CELLS, 1) if len(cells) else []
    for polygon, strength in zip(cells[near], strengths[near]):
        cv2.fillConvexPoly(dark, np.round(polygon * 16).astype(np.int32), float(strength), cv2.LINE_AA, 4)
    return ContactMap(1.0 - cv2.GaussianBlur(dark, (0, 0), 2.2), origin)
