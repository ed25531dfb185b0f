"""Pixels to rays and back, through lenses; calibrations that are none."""

import numpy as np
import pytest

from dcfm_ros.errors import DcfmError
from dcfm_ros.space.camera import camera_of

SIZE = (160, 120)
K = [130.0, 0, 79.5, 0, 132.0, 61.0, 0, 0, 1]
LENSES = [("", ()), ("plumb_bob", (-0.28, 0.07, 0.001, -0.002, 0)), ("equidistant", (0.02, -0.01, 0.003, 0))]


@pytest.mark.parametrize(("model", "lens"), LENSES, ids=["none", "plumb_bob", "equidistant"])
def test_what_a_pixel_sees_is_seen_by_that_pixel(model, lens):
    camera = camera_of(K, SIZE, lens, model)
    depth = np.random.default_rng(0).uniform(0.2, 50, (120, 160, 1))
    points = np.concatenate([camera.rays * depth, depth], -1).reshape(-1, 3)
    where, seen = camera.pixels(points)
    assert seen.all()
    assert np.array_equal(where, np.indices((120, 160)).reshape(2, -1).T)


def test_a_lens_folds_nothing_into_the_picture():
    """A strong lens's polynomial brings back what is far outside: it is not seen there."""
    camera = camera_of([200.0, 0, 79.5, 0, 200.0, 59.5, 0, 0, 1], SIZE, (-0.4, 0, 0, 0, 0), "plumb_bob")
    x, y = np.mgrid[-2:2:81j, -2:2:81j].reshape(2, -1)
    place, seen = camera.pixels(np.stack([x, y, np.ones_like(x)], -1))
    off = camera.rays[place[:, 0], place[:, 1]] - np.stack([x, y], -1)
    assert seen.sum() > 100 and np.abs(off[seen]).max() < 2.5 / 200
    assert not seen[np.hypot(x, y) > 1].any()


@pytest.mark.parametrize(
    ("k", "says"),
    [
        ([0.0] * 9, "not calibrated"),
        ([np.nan] * 9, "not finite"),
        ([-100, 0, 80, 0, 100, 60, 0, 0, 1], "not calibrated"),
        ([500, 0, 320, 0, 500, 240, 0, 0, 1], "another size"),
    ],
)
def test_numbers_of_no_camera_are_refused(k, says):
    with pytest.raises(DcfmError, match=says):
        camera_of(k, SIZE)


def test_an_unknown_lens_is_refused_unless_it_does_nothing():
    with pytest.raises(DcfmError, match="'thin_prism' is unknown"):
        camera_of(K, SIZE, [0.1, 0, 0, 0], "thin_prism")
    assert camera_of(K, SIZE, [0.0] * 4, "thin_prism").rays.shape == (120, 160, 2)


@pytest.mark.parametrize(
    ("model", "count"), [("plumb_bob", 3), ("", 1), ("plumb_bob", 15), ("equidistant", 5)]
)
def test_a_lens_of_another_number_of_coefficients_is_refused(model, count):
    with pytest.raises(DcfmError, match=f"lens has {count} coefficients; expected 4"):
        camera_of(K, SIZE, [0.1] * count, model)
