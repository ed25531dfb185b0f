"""`SyntheticDrive`: a labelled video of a drive through a street that does not exist."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.errors import DcfmError
from dcfm_ros.street.camera import Camera, Pose, camera_at
from dcfm_ros.street.cars import footprint
from dcfm_ros.street.lens import develop
from dcfm_ros.street.light import contact_map, light_at, shadow_map
from dcfm_ros.street.mesh import Mesh, join, yaw_matrix
from dcfm_ros.street.raster import View, rasterize
from dcfm_ros.street.shade import SAMPLES, shade
from dcfm_ros.street.site import BLOCK
from dcfm_ros.street.street import Motion, Street
from dcfm_ros.street.style import Style, draw_style
from dcfm_ros.street.textures import baked
from dcfm_ros.street.traffic import Actor, Traffic, actor_spot
from dcfm_ros.street.world import Block, BlockPlanner

_SIGHT = 200.0
"""Metres of street that are drawn ahead."""
_KEPT_BLOCKS = 12


@dataclass(frozen=True)
class DriveFrame:
    """`image` uint8 H×W×3 RGB; `label` uint8 H×W, CamVid ids 0..10 and 255; `stamp_ns` since the drive's start; `pose` of the camera."""

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    stamp_ns: int
    pose: Pose


class SyntheticDrive:
    """A drive through a street that does not exist, with a label for every pixel.

    Frame `i` depends on nothing but the seed, the size and its stamp `round(i · 10⁹ / fps)`: frames come in any order,
    from any process, bit for bit the same, and another rate looks at the same world at other times.

    seed: 0 or more; 0 is a fair day, other seeds also change weather, light, season, traffic, street and camera.
    size: (width, height) in pixels, each 16 to 8192. fps: above 0. length: frames, 1 or more.
    style: overrides the style drawn from the seed.
    Raises DcfmError when an argument is out of range.
    """

    def __init__(
        self,
        seed: int = 0,
        size: tuple[int, int] = (480, 360),
        fps: float = 15.0,
        length: int = 150,
        *,
        style: Style | None = None,
    ) -> None:
        _check(seed, size, fps, length)
        self.seed = seed
        self.size = (int(size[0]), int(size[1]))
        self.fps = float(fps)
        self.length = int(length)
        self.style = draw_style(seed) if style is None else style
        motion = Motion(seed, self.style)
        reach = motion.distance(self.length / self.fps) + _SIGHT + 3 * BLOCK + 100.0
        self._motion = motion
        self._street = Street(seed, self.style, reach)
        self._planner = BlockPlanner(seed, self.style, self._street)
        self._traffic = Traffic(seed, self.style, self._street, motion)
        self._blocks: OrderedDict[int, Block] = OrderedDict()

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[DriveFrame]:
        return (self[i] for i in range(self.length))

    def stamp_ns(self, index: int) -> int:
        """Nanoseconds from the start of the drive to frame `index`."""
        return round(index * 1e9 / self.fps)

    def pose(self, index: int) -> Pose:
        """The camera's pose at frame `index`, without rendering."""
        return self._camera(self.stamp_ns(self._checked(index)) * 1e-9).pose

    def __getitem__(self, index: int) -> DriveFrame:
        stamp = self.stamp_ns(self._checked(index))
        t = stamp * 1e-9
        camera = self._camera(t)
        image, label = self._render(camera, t)
        rng = np.random.default_rng([self.seed, 97, stamp])
        noise = rng.standard_normal(image.shape, np.float32)
        return DriveFrame(develop(image, self.style, noise), label, stamp, camera.pose)

    def _checked(self, index: int) -> int:
        if not -self.length <= index < self.length:
            raise IndexError(f"frame {index} of a drive of {self.length} frames")
        return index % self.length

    def _camera(self, t: float) -> Camera:
        return camera_at(self.style, self._street, self._motion, self.size, t)

    def _render(self, camera: Camera, t: float) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        first = int(np.floor((camera.s - 45.0) / BLOCK))
        blocks = [self._block(k) for k in range(first, int(np.floor((camera.s + _SIGHT) / BLOCK)) + 1)]
        actors = self._traffic.at(t, camera.s)
        origin = blocks[0].origin
        mesh = join(
            [
                *(b.mesh.shifted([*(b.origin - origin), 0.0]) for b in blocks),
                *(self._placed(a, origin) for a in actors),
            ]
        )
        textures = baked()
        light = light_at(self.style, t)
        eye = camera.eye - [*origin, 0.0]
        forward = camera.turn[2] * [1, 1, 0]
        shadows = shadow_map(mesh, textures, light, eye + 26.0 * forward)
        contact = contact_map(*self._dark_places(blocks, actors, origin), eye + 32.0 * forward)
        view = View(
            camera.turn,
            eye,
            float(camera.focal * SAMPLES),
            float(camera.center[0] * SAMPLES),
            float(camera.center[1] * SAMPLES),
        )
        samples = (self.size[0] * SAMPLES, self.size[1] * SAMPLES)
        fragments = rasterize(mesh, textures, samples, view)
        return shade(fragments, mesh, textures, light, shadows, contact, view)

    def _block(self, number: int) -> Block:
        if number not in self._blocks:
            self._blocks[number] = self._planner.build(number)
            while len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _placed(self, actor: Actor, origin: NDArray[np.float64]) -> Mesh:
        spot, heading = actor_spot(self._street, actor)
        return actor.mesh.moved(yaw_matrix(heading), [*(spot - origin), actor.z])

    def _dark_places(
        self, blocks: list[Block], actors: list[Actor], origin: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ground polygons under things, and how dark each makes the ground."""
        shapes = [b.footprints + (b.origin - origin) for b in blocks]
        strengths = [b.strengths for b in blocks]
        for actor in actors:
            spot, heading = actor_spot(self._street, actor)
            if actor.kind:
                shapes.append(footprint(actor.kind, spot - origin, heading)[None])
                strengths.append(np.array([0.92]))
            else:
                square = (
                    np.array([[-0.3, -0.2], [0.3, -0.2], [0.3, 0.2], [-0.3, 0.2]])
                    @ yaw_matrix(heading)[:2, :2].T
                )
                shapes.append((square + spot - origin)[None])
                strengths.append(np.array([0.5]))
        return np.concatenate(shapes), np.concatenate(strengths)


def _check(seed: int, size: tuple[int, int], fps: float, length: int) -> None:
    if seed < 0:
        raise DcfmError(f"The seed of a synthetic drive is {seed}, expected 0 or more.")
    if len(size) != 2 or not all(16 <= side <= 8192 for side in size):
        raise DcfmError(
            f"The size of a synthetic drive is {size}, expected (width, height) of 16 to 8192 pixels each."
        )
    if not 0 < fps < 1e6:
        raise DcfmError(
            f"The rate of a synthetic drive is {fps} frames per second, expected a number above 0."
        )
    if length < 1:
        raise DcfmError(f"The length of a synthetic drive is {length} frames, expected 1 or more.")
