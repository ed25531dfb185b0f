"""Calibrations: a camera's own rays come back to their pixels, and numbers of no camera are a clear refusal."""

import math

import numpy as np
from doors import answer, door
from hypothesis import strategies as st

from dcfm_ros.space.camera import FISHEYE, camera_of
from dcfm_ros.stream.segmentation import Pose
from dcfm_ros.stream.triggers import angle_between

SIZE = (16, 12)
MODELS = st.sampled_from(("", "plumb_bob", "rational_polynomial", FISHEYE, "thin_prism", "\x1b"))
ANY = st.one_of(st.floats(), st.floats(-3, 20), st.just(0.0))
POINTS = np.random.default_rng(0).normal(0, 3, (50, 3))


@door(150, k=st.lists(ANY, min_size=9, max_size=9), lens=st.lists(st.floats(), max_size=15), model=MODELS)
def test_calibrations_of_any_numbers(k, lens, model):
    seen_by(answer(camera_of, k, SIZE, lens, model))


@door(
    150,
    centre=st.tuples(st.floats(1, 15), st.floats(1, 11)),
    lens=st.lists(st.floats(-2, 2), max_size=15),
    model=MODELS,
)
def test_lenses_of_any_numbers(centre, lens, model):
    seen_by(answer(camera_of, [20, 0, centre[0], 0, 20, centre[1], 0, 0, 1], SIZE, lens, model))


def seen_by(camera):
    """Whatever a camera sees lies in its picture."""
    if camera is None:
        return
    assert camera.rays.shape == (SIZE[1], SIZE[0], 2)
    where, seen = camera.pixels(POINTS)
    assert ((where >= 0) & (where < SIZE[::-1])).all() and not seen[POINTS[:, 2] <= 0].any()


@door(
    100,
    focal=st.tuples(st.floats(5, 60), st.floats(5, 60)),
    bend=st.floats(-0.05, 0.05),
    model=st.sampled_from(("plumb_bob", FISHEYE)),
)
def test_what_a_pixel_sees_is_seen_by_it(focal, bend, model):
    lens = (bend, 0.0, 0.0, 0.0)
    camera = camera_of([focal[0], 0, 8, 0, focal[1], 6, 0, 0, 1], SIZE, lens, model)
    if (
        np.hypot(*np.moveaxis(camera.rays, 2, 0)).max() > 1.2
    ):  # where a polynomial of one number ends to be a lens
        return
    points = np.concatenate([camera.rays, np.ones((SIZE[1], SIZE[0], 1))], -1).reshape(-1, 3)
    where, seen = camera.pixels(points)
    assert seen.all() and np.array_equal(where, np.indices(SIZE[::-1]).reshape(2, -1).T)


QUATERNIONS = st.tuples(*[st.floats()] * 4)


@door(200, one=QUATERNIONS, other=QUATERNIONS)
def test_turns_between_any_poses(one, other):
    turn = angle_between(Pose((0, 0, 0), one), Pose((0, 0, 0), other))
    assert 0 <= turn <= math.pi
    if all(map(math.isfinite, one)) and 0 < math.hypot(*one) < 1e150:
        assert angle_between(Pose((0, 0, 0), one), Pose((0, 0, 0), one)) < 1e-3
