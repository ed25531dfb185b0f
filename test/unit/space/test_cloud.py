"""Labelled points: what is kept, and that each has its own pixel's values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dcfm_ros.space.camera import camera_of
from dcfm_ros.space.cloud import labelled_points, points_of_depth

ALL = np.ones(256, bool)
CAMERA = camera_of([60.0, 0, 20.0, 0, 60.0, 14.0, 0, 0, 1], (40, 30))


def random_frame(seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.1, 12, (30, 40)).astype(np.float32)
    mask, confidence = rng.integers(0, 5, (30, 40), np.uint8), rng.integers(0, 256, (30, 40), np.uint8)
    return depth, mask, confidence, rng.integers(0, 256, (30, 40, 3), np.uint8)


@given(st.integers(0, 999), st.integers(0, 4))
def test_each_point_has_its_pixels_values(seed, label):
    depth, mask, confidence, rgb = random_frame(seed)
    depth[:2] = np.array([0, np.nan, np.inf, -1])[np.arange(40) % 4]
    points = points_of_depth(depth, CAMERA)
    out = labelled_points(points, mask, confidence, rgb, np.arange(256) == label, (1.0, 8.0), 0.0)
    distance = np.linalg.norm(points.astype(float), axis=-1)
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero((distance >= 1) & (distance <= 8) & (mask == label) & (depth > 0))
    assert len(out) == len(rows)
    assert np.array_equal(np.stack([out["x"], out["y"], out["z"]], -1), points[rows, columns])
    back, seen = CAMERA.pixels(points[rows, columns].astype(float))
    assert seen.all() and np.array_equal(back, np.stack([rows, columns], -1))
    assert np.array_equal(
        np.ascontiguousarray(out["rgb"]).view(np.uint8).reshape(-1, 4)[:, 2::-1], rgb[rows, columns]
    )
    assert (out["label"] == label).all()
    assert np.allclose(out["confidence"], confidence[rows, columns] / 255)


@given(st.integers(0, 999), st.sampled_from([0.05, 0.3, 2.0]))
def test_a_voxel_keeps_its_surest_point(seed, edge):
    depth, mask, confidence, rgb = random_frame(seed)
    points = points_of_depth(depth, CAMERA)
    every = labelled_points(points, mask, confidence, rgb, ALL, (0.0, 100.0), 0.0)
    out = labelled_points(points, mask, confidence, rgb, ALL, (0.0, 100.0), edge)

    def voxels(cloud):
        return list(
            map(tuple, np.floor(np.stack([cloud["x"], cloud["y"], cloud["z"]], -1) / np.float32(edge)))
        )

    surest = {}
    for voxel, sure in zip(voxels(every), every["confidence"].tolist()):
        surest[voxel] = max(sure, surest.get(voxel, 0))
    assert dict(zip(voxels(out), out["confidence"].tolist())) == surest
    assert len(out) == len(surest)
    assert set(out.tolist()) <= set(every.tolist())


def test_a_frame_without_points_is_an_empty_cloud():
    empty = labelled_points(
        np.zeros((3, 4, 3), np.float32),
        *np.zeros((2, 3, 4), np.uint8),
        np.zeros((3, 4, 3), np.uint8),
        ALL,
        (0.0, 9.0),
        0.1,
    )
    assert len(empty) == 0
