"""People who walk, stand or cycle, built from limbs in a pose. Facing +x, feet at the origin."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.labels import BICYCLIST, PEDESTRIAN
from dcfm_ros.street.mesh import Finish, Mesh, MeshBuilder

PHASES = 24
"""Poses of one stride or one turn of the pedals."""

_TOPS = np.array(
    [[0.02, 0.02, 0.025], [0.06, 0.07, 0.1], [0.3, 0.03, 0.03], [0.03, 0.06, 0.2], [0.35, 0.32, 0.28], [0.05, 0.1, 0.06], [0.5, 0.48, 0.45],
     [0.22, 0.13, 0.06], [0.12, 0.12, 0.12], [0.45, 0.25, 0.05], [0.25, 0.06, 0.2], [0.15, 0.25, 0.35]]
)  # fmt: skip
_LEGS = np.array(
    [[0.02, 0.02, 0.03], [0.04, 0.06, 0.13], [0.1, 0.09, 0.08], [0.2, 0.17, 0.12], [0.03, 0.03, 0.03], [0.06, 0.08, 0.16]]
)  # fmt: skip
_SKIN = np.array([[0.5, 0.32, 0.23], [0.42, 0.26, 0.18], [0.2, 0.11, 0.07], [0.55, 0.38, 0.3]])
_HAIR = np.array([[0.02, 0.015, 0.01], [0.08, 0.05, 0.025], [0.25, 0.17, 0.07], [0.3, 0.3, 0.3]])


@lru_cache(maxsize=1024)
def walker(person: int, phase: int, walking: bool = True) -> Mesh:
    """A pedestrian; `person` picks build and clothes, `phase` 0..PHASES-1 the moment of the stride."""
    rng = np.random.default_rng([person, 5])
    out = MeshBuilder()
    top, leg = _TOPS[rng.integers(len(_TOPS))], _LEGS[rng.integers(len(_LEGS))]
    skin, hair = _SKIN[rng.integers(len(_SKIN))], _HAIR[rng.integers(len(_HAIR))]
    coat = rng.random() < 0.35
    bag = rng.random() < 0.4
    scale = float(rng.uniform(0.9, 1.06))
    stout = float(rng.uniform(0.9, 1.2))
    swing = 2 * np.pi * phase / PHASES
    reach = 0.45 if walking else 0.03
    hip = 0.9 - (0.025 * np.cos(2 * swing) if walking else 0.0)
    for side in (-1, 1):
        angle = side * reach * np.sin(swing)
        bend = 0.12 + (0.75 * max(0.0, side * np.cos(swing)) if walking else 0.0)
        foot = _leg(out, [0, side * 0.09, hip], angle, bend, leg, stout)
        out.box(
            foot + [-0.08, -0.05, -0.07], foot + [0.17, 0.05, 0.02], Finish([0.02, 0.02, 0.02], PEDESTRIAN)
        )
        arm = -side * reach * 0.8 * np.sin(swing)
        _arm(out, [0.0, side * 0.21 * stout, 1.42], arm, top, skin)
    _torso(out, hip, top, stout, coat)
    out.tube([0, 0, 1.45], [0.01, 0, 1.56], 0.05, 0.05, Finish(skin, PEDESTRIAN))
    out.ball([0.03, 0, 1.65], [0.1, 0.08, 0.125], Finish(skin, PEDESTRIAN))
    out.ball([-0.005, 0, 1.69], [0.1, 0.09, 0.11], Finish(hair, PEDESTRIAN))
    if bag:
        out.box(
            [-0.3, -0.15, 1.0], [-0.12, 0.15, 1.42], Finish(_TOPS[rng.integers(len(_TOPS))] * 0.8, PEDESTRIAN)
        )
    return out.build().moved(np.eye(3), [0, 0, 0], scale)


def _leg(
    out: MeshBuilder, hip: ArrayLike, angle: float, bend: float, color: NDArray[np.float64], stout: float
) -> NDArray[np.float64]:
    start = np.asarray(hip, float)
    knee = start + 0.43 * np.array([np.sin(angle), 0, -np.cos(angle)])
    ankle = knee + 0.42 * np.array([np.sin(angle - bend), 0, -np.cos(angle - bend)])
    out.tube(start, knee, 0.095 * stout, 0.065 * stout, Finish(color, PEDESTRIAN))
    out.tube(knee, ankle, 0.063 * stout, 0.05, Finish(color, PEDESTRIAN))
    return ankle


def _arm(
    out: MeshBuilder, shoulder: ArrayLike, angle: float, top: NDArray[np.float64], skin: NDArray[np.float64]
) -> None:
    start = np.asarray(shoulder, float)
    elbow = start + 0.29 * np.array([np.sin(angle), 0, -np.cos(angle)])
    hand = elbow + 0.27 * np.array([np.sin(angle + 0.35), 0, -np.cos(angle + 0.35)])
    out.tube(start, elbow, 0.058, 0.048, Finish(top, PEDESTRIAN))
    out.tube(elbow, hand, 0.047, 0.036, Finish(top, PEDESTRIAN))
    out.ball(hand, [0.045, 0.03, 0.05], Finish(skin, PEDESTRIAN), rings=3, sides=6)


def _torso(out: MeshBuilder, hip: float, top: NDArray[np.float64], stout: float, coat: bool) -> None:
    """Elliptic rings from the hem to the neck."""
    hem = hip - (0.35 if coat else 0.06)
    rings = [
        (hem, 0.13, 0.2),
        (hip + 0.1, 0.12, 0.175),
        (1.3, 0.135, 0.215),
        (1.44, 0.1, 0.19),
        (1.49, 0.05, 0.07),
    ]
    angle = np.arange(11) * (2 * np.pi / 10)
    loops = [
        np.stack([d * stout * np.cos(angle), w * stout * np.sin(angle), np.full(11, z)], 1)
        for z, d, w in rings
    ]
    for low, high in zip(loops[:-1], loops[1:]):
        out.quads(
            np.stack([low[:-1], low[1:], high[1:], high[:-1]], 1), Finish(top, PEDESTRIAN, materials.SKIN)
        )


@lru_cache(maxsize=512)
def cyclist(person: int, phase: int) -> Mesh:
    """A cyclist on a bicycle; `phase` 0..PHASES-1 the turn of the pedals. The bicycle has the rider's label."""
    rng = np.random.default_rng([person, 6])
    out = MeshBuilder()
    top, leg = _TOPS[rng.integers(len(_TOPS))], _LEGS[rng.integers(len(_LEGS))]
    if rng.random() < 0.25:
        top = np.array([0.55, 0.6, 0.05])
    skin = _SKIN[rng.integers(len(_SKIN))]
    helmet = np.array([0.6, 0.6, 0.6]) if rng.random() < 0.5 else _HAIR[rng.integers(len(_HAIR))]
    frame = _TOPS[rng.integers(len(_TOPS))] * 1.2 + 0.02
    turn = 2 * np.pi * phase / PHASES
    rear, front, crank = np.array([-0.5, 0, 0.34]), np.array([0.55, 0, 0.34]), np.array([-0.05, 0, 0.3])
    seat, head = np.array([-0.22, 0, 0.88]), np.array([0.38, 0, 0.88])
    bar = _bicycle(out, turn, (rear, front, crank, seat, head), frame)
    hip, shoulder = seat + [0.0, 0, 0.1], np.array([0.12, 0, 1.42])
    _limbs(out, turn, (hip, shoulder, crank, bar), top, leg)
    waist = hip + [0, 0, 0.02]
    middle = (waist + shoulder) / 2 + [-0.04, 0, 0.02]
    out.tube(waist, middle, 0.16, 0.17, Finish(top, BICYCLIST), sides=8)
    out.tube(middle, shoulder, 0.17, 0.14, Finish(top, BICYCLIST), sides=8)
    out.ball(shoulder, [0.12, 0.2, 0.1], Finish(top, BICYCLIST))
    out.ball(shoulder + [0.1, 0, 0.24], [0.1, 0.08, 0.12], Finish(skin, BICYCLIST))
    out.ball(shoulder + [0.075, 0, 0.29], [0.12, 0.09, 0.1], Finish(helmet, BICYCLIST))
    return out.build()


def _bicycle(
    out: MeshBuilder, turn: float, joints: tuple[NDArray[np.float64], ...], frame: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Wheels, frame and saddle; returns the middle of the handlebar."""
    rear, front, crank, seat, head = joints
    for hub in (rear, front):
        out.disc(
            hub,
            [0.34 * np.cos(turn), 0, -0.34 * np.sin(turn)],
            [0.34 * np.sin(turn), 0, 0.34 * np.cos(turn)],
            Finish([0.02, 0.02, 0.02], BICYCLIST, materials.SPOKES),
            sides=16,
        )
        rim = np.arange(15) * (2 * np.pi / 14)
        ring = hub + 0.33 * np.stack([np.cos(rim), np.zeros(15), np.sin(rim)], 1)
        for a, b in zip(ring[:-1], ring[1:]):
            out.tube(a, b, 0.022, 0.022, Finish([0.02, 0.02, 0.02], BICYCLIST), sides=4)
    for a, b in (
        (crank, seat),
        (crank, head),
        (seat - [0, 0, 0.08], head),
        (rear, crank),
        (rear, seat - [0, 0, 0.08]),
        (front, head + [0, 0, 0.12]),
    ):
        out.tube(a, b, 0.022, 0.022, Finish(frame, BICYCLIST), sides=5)
    out.box(seat + [-0.12, -0.07, 0.0], seat + [0.12, 0.07, 0.06], Finish([0.02, 0.02, 0.02], BICYCLIST))
    bar = head + [0.03, 0, 0.14]
    out.tube(
        bar - [0, 0.27, 0], bar + [0, 0.27, 0], 0.018, 0.018, Finish([0.03, 0.03, 0.03], BICYCLIST), sides=5
    )
    return np.asarray(bar)


def _limbs(
    out: MeshBuilder,
    turn: float,
    joints: tuple[NDArray[np.float64], ...],
    top: NDArray[np.float64],
    leg: NDArray[np.float64],
) -> None:
    """A rider's legs on the pedals and arms on the handlebar."""
    hip, shoulder, crank, bar = joints
    for side in (-1, 1):
        pedal = crank + [
            0.17 * np.cos(turn + (side > 0) * np.pi),
            side * 0.11,
            -0.17 * np.sin(turn + (side > 0) * np.pi),
        ]
        start = hip + [0, side * 0.09, 0]
        knee = _joint(start, pedal + [0, 0, 0.08], 0.44, 0.44)
        out.tube(start, knee, 0.09, 0.065, Finish(leg, BICYCLIST))
        out.tube(knee, pedal + [0, 0, 0.08], 0.06, 0.045, Finish(leg, BICYCLIST))
        out.box(
            pedal + [-0.08, -0.05, 0.0], pedal + [0.16, 0.05, 0.09], Finish([0.02, 0.02, 0.02], BICYCLIST)
        )
        reach = shoulder + [0.02, side * 0.19, -0.02]
        grip = bar + [0, side * 0.24, 0.0]
        elbow = (reach + grip) / 2 + [0.0, side * 0.05, -0.07]
        out.tube(reach, elbow, 0.055, 0.045, Finish(top, BICYCLIST))
        out.tube(elbow, grip, 0.044, 0.036, Finish(top, BICYCLIST))


def _joint(
    start: NDArray[np.float64], end: NDArray[np.float64], first: float, second: float
) -> NDArray[np.float64]:
    """The knee between hip and foot, bent forward."""
    gap = end - start
    length = min(float(np.linalg.norm(gap)), first + second - 0.01)
    along = (first**2 - second**2 + length**2) / (2 * length)
    aside = np.sqrt(max(first**2 - along**2, 0.0))
    way = gap / np.linalg.norm(gap)
    forward = np.array([1.0, 0, 0]) - way * way[0]
    forward /= np.linalg.norm(forward)
    return np.asarray(start + way * along + forward * aside)
