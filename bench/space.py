"""Measures how far off free space on the ground plane is, and what points and grid cost; writes the tables of docs/points.md.

    python bench/space.py           everything: some minutes
    python bench/space.py --page    the tables from what was measured

The synthetic drive's masks and poses are exact, and so is the line of its kerbs. The mask is projected with the camera's true
pose, and with one whose pitch is off; the nearest occupied cell of each bearing is compared with the kerb there, where the
kerb is in view. Points and grid take turns in the rounds that cost is measured in.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from markdown import fill, measured_page

from dcfm_lab.measure.rounds import Laps, interleave, totals
from dcfm_lab.measure.spread import Spread, spread
from dcfm_ros.arrays import Mask
from dcfm_ros.config import Size
from dcfm_ros.measure.machine import MachineFacts, OthersLoad, this_machine
from dcfm_ros.measure.table import Table
from dcfm_ros.space.camera import Camera, camera_of
from dcfm_ros.space.cloud import labelled_points, points_of_depth
from dcfm_ros.space.ground import OCCUPIED, Grid, Kinds, Mount, free_space, mount_of_angles
from dcfm_ros.street import SyntheticDrive
from dcfm_ros.street.camera import camera_at
from dcfm_ros.street.labels import PAVEMENT, ROAD
from dcfm_ros.street.street import Motion, Street

RESULTS = HERE / "results" / "space.json"
PAGE = HERE.parent / "docs" / "points.md"
MARKS = "<!-- numbers: begin -->", "<!-- numbers: end -->"
FORMAT = "dcfm space 1"
SIZES: tuple[Size, ...] = ((480, 360), (1280, 720))
SEEDS, FRAMES, LENGTH = (0, 1, 2), range(0, 90, 15), 90
ERRORS_DEG = (0.0, 1.0, -1.0, 2.0, -2.0)
EDGES_M = (4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
REACH_M = 36.0
GRID = Grid(800, 0.1)
COST_GRID = Grid(200, 0.1)
IDS = np.arange(256)
KINDS = Kinds(IDS == ROAD, IDS == PAVEMENT)
LINES_PX = 2  # rows above and below a kerb that must show pavement and road


@dataclass(frozen=True)
class Border:
    """How far off the kerb was, metres, at distances `near` to `far`; `missed`: bearings (0-1) where no cell was occupied."""

    pitch_error_deg: float
    near: float
    far: float
    bias: float
    median: float
    p90: float
    missed: float
    count: int


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one piece of work on a mask of `size`."""

    work: str
    size: Size
    ms: Spread


@dataclass(frozen=True)
class Result:
    """All that docs/points.md shows. others: cores that other processes kept busy while cost was measured."""

    format: str
    borders: tuple[Border, ...]
    costs: tuple[Cost, ...]
    others: float
    machine: MachineFacts


@dataclass(frozen=True)
class View:
    """A frame of the drive: its exact mask, camera and mount, and the kerbs in view as bearing and distance, N×2."""

    mask: Mask
    camera: Camera
    mount: Mount
    kerbs: NDArray[np.float64]


def views(size: Size) -> Iterator[View]:
    """All frames that are looked at."""
    for seed in SEEDS:
        drive = SyntheticDrive(seed, size, length=LENGTH)
        motion = Motion(seed, drive.style)
        street = Street(seed, drive.style, motion.distance(LENGTH / drive.fps) + 300.0)
        for index in FRAMES:
            at = camera_at(drive.style, street, motion, size, drive.stamp_ns(index) * 1e-9)
            k = np.array([[at.focal, 0, at.center[0] - 0.5], [0, at.focal, at.center[1] - 0.5], [0, 0, 1]])
            camera, mask = camera_of(k, size), drive[index].label
            ahead = np.arctan2(at.turn[2, 1], at.turn[2, 0])
            level = np.array(
                [[np.cos(ahead), np.sin(ahead), 0], [-np.sin(ahead), np.cos(ahead), 0], [0, 0, 1]]
            )
            mount = Mount(level @ at.turn.T, np.array([0.0, 0.0, at.eye[2]]))
            s = np.arange(at.s, at.s + REACH_M, 0.02)
            lines = np.concatenate([street.place(s, street.left), street.place(s, -street.right)])
            ground = (np.column_stack([lines, np.zeros(len(lines))]) - [*at.eye[:2], 0.0]) @ level.T
            yield View(mask, camera, mount, _in_view(ground, mask, camera, mount))


def _in_view(ground: NDArray[np.float64], mask: Mask, camera: Camera, mount: Mount) -> NDArray[np.float64]:
    """Bearing and distance of the points on the kerbs below which the mask has road, and above which pavement."""
    where, seen = camera.pixels((ground - mount.eye) @ mount.turn)
    rows, columns = where.T
    last = len(mask) - 1
    seen &= mask[np.minimum(rows + LINES_PX, last), columns] == ROAD
    seen &= mask[np.maximum(rows - LINES_PX, 0), columns] == PAVEMENT
    x, y = ground[seen, :2].T
    bearing, distance = np.arctan2(y, x), np.hypot(x, y)
    order = np.argsort(distance)
    _, first = np.unique(np.round(bearing[order] / 0.002), return_index=True)  # the nearest of a bearing
    return np.column_stack([bearing, distance])[order[first]]


def measure_borders(size: Size) -> tuple[Border, ...]:
    """All pitch errors and distances."""
    frames = list(views(size))
    return tuple(row for error in ERRORS_DEG for row in _borders(frames, error))


def _borders(frames: list[View], error_deg: float) -> Iterator[Border]:
    # A rotation of the ground's frame around y, as if the camera were believed to look down by that much more.
    tilt = mount_of_angles(1.0, np.radians(error_deg), 0.0).turn @ mount_of_angles(1.0, 0.0, 0.0).turn.T
    pairs = []
    for view in frames:
        mount = Mount(tilt @ view.mount.turn, view.mount.eye)
        sure = np.full_like(view.mask, 255)
        state, _ = free_space(view.mask, sure, view.camera, mount, GRID, KINDS, REACH_M)
        pairs.append(np.column_stack([view.kerbs[:, 1], _nearest(state, view.kerbs[:, 0])]))
    true, found = np.concatenate(pairs).T
    for near, far in zip(EDGES_M, EDGES_M[1:]):
        off = (found - true)[(true >= near) & (true < far)]
        known = off[np.isfinite(off)]
        yield Border(
            error_deg,
            near,
            far,
            float(np.median(known)),
            float(np.median(np.abs(known))),
            float(np.percentile(np.abs(known), 90)),
            float(np.mean(~np.isfinite(off))),
            len(off),
        )


def _nearest(state: NDArray[np.int8], bearings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of the middle of the first occupied cell on each bearing; NaN where there is none."""
    steps = np.arange(0.0, REACH_M, GRID.resolution / 4)
    x, y = (np.outer(way(bearings), steps) for way in (np.cos, np.sin))
    column, row = (np.floor((axis - GRID.corner) / GRID.resolution).astype(int) for axis in (x, y))
    hit = state[row, column] == OCCUPIED
    first = hit.argmax(1)
    line = np.arange(len(bearings))
    centre = [(cells[line, first] + 0.5) * GRID.resolution + GRID.corner for cells in (column, row)]
    return np.where(hit.any(1), np.hypot(*centre), np.nan)


def measure_costs(seconds: float) -> tuple[Cost, ...]:
    """Grid and points at all sizes."""
    costs = []
    for size in SIZES:
        laps = interleave({name: _timed(work) for name, work in _works(size).items()}, seconds=seconds)
        costs += [Cost(name, size, spread(totals(each))) for name, each in laps.items()]
    return tuple(costs)


def _works(size: Size) -> dict[str, Callable[[], object]]:
    view = next(views(size))
    mask, camera, mount = view.mask, view.camera, view.mount
    sure = np.random.default_rng(0).integers(0, 256, mask.shape, np.uint8)
    rgb = np.zeros((*mask.shape, 3), np.uint8)
    way = camera.rays @ mount.turn[2, :2] + mount.turn[2, 2]
    depth = np.where(way < -0.05, -mount.eye[2] / np.minimum(way, -0.05), 15.0).astype(np.float32)
    every = np.ones(256, bool)

    def points(voxel: float, reach: float) -> object:
        return labelled_points(points_of_depth(depth, camera), mask, sure, rgb, every, (0.2, reach), voxel)

    return {
        "grid, 20 m at 0.1 m": lambda: free_space(mask, sure, camera, mount, COST_GRID, KINDS, 10.0),
        "points to 10 m, voxels of 0.05 m": lambda: points(0.05, 10.0),
        "points to 10 m": lambda: points(0.0, 10.0),
        "all points, voxels of 0.05 m": lambda: points(0.05, 100.0),
    }


def _timed(work: Callable[[], object]) -> Callable[[int], Laps]:
    def run(number: int) -> Laps:
        begin = time.perf_counter()
        work()
        return {"total": 1000 * (time.perf_counter() - begin)}

    return run


def render(result: Result, text: str) -> str:
    """The page with these numbers."""
    border = Table.of(
        result.borders,
        [
            ("pitch error, °", lambda row: f"{row.pitch_error_deg:+g}" if row.pitch_error_deg else "0"),
            ("distance, m", lambda row: f"{row.near:g}–{row.far:g}"),
            ("median of the error, m", lambda row: f"{row.bias:+.2f}"),
            ("median of its size, m", lambda row: f"{row.median:.2f}"),
            ("90 % below, m", lambda row: f"{row.p90:.2f}"),
            ("no border, %", lambda row: f"{100 * row.missed:.0f}"),
            ("bearings", lambda row: str(row.count)),
        ],
    )
    cost = Table.of(
        result.costs,
        [
            ("work", lambda row: row.work),
            ("size", lambda row: f"{row.size[0]}×{row.size[1]}"),
            ("ms, median", lambda row: f"{row.ms.median:.1f}"),
            ("quartiles", lambda row: f"{row.ms.q1:.1f}–{row.ms.q3:.1f}"),
        ],
    )
    machine = (
        f"{result.machine.processor}, {result.machine.cores} cores; other processes kept {result.others:.1f} of them busy "
        f"meanwhile, so that these are upper limits"
    )
    parts = (border.markdown(), f"Cost, one process ({machine}):", cost.markdown())
    return fill(text, MARKS, "\n\n".join(parts)) or text


def measure(args: argparse.Namespace) -> Result:
    """Borders, and then what it costs."""
    borders, load = measure_borders(SIZES[0]), OthersLoad()
    costs = measure_costs(args.seconds)
    return Result(FORMAT, borders, costs, load.cores(), this_machine())


def main() -> int:
    """Exit status 0: done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="for the costs of a size (default: 20)")
    return measured_page(parser, PAGE, RESULTS, Result, measure, render)


if __name__ == "__main__":
    sys.exit(main())
