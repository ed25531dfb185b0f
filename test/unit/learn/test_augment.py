"""Views and colours: image and label stay aligned, both frames are treated alike."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_lab.learn.augment import FILL, Pair, augment, random_color, recolor
from dcfm_lab.learn.camera_motion import displacement, measured_flow, pixel_grid, simulate_neighbour
from dcfm_lab.learn.config import AugmentConfig, MotionConfig
from dcfm_ros.arrays import UNLABELLED

STILL = AugmentConfig(
    crop=(48, 32),
    scale=(1.0, 1.0),
    flip=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    hue=0.0,
)
FULL = AugmentConfig(crop=(48, 32), scale=(0.5, 2.0), angle=10.0, gamma=0.5, blur=0.5, noise=0.5)
COLORS = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250], [240, 240, 20], [20, 240, 240]], np.uint8)

sizes = st.tuples(st.integers(20, 90), st.integers(20, 90))
seeds = st.integers(0, 2**32 - 1)


def scene(height: int, width: int, seed: int) -> np.ndarray:
    """A label of a few large patches, uint8 H×W."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, len(COLORS), (3, 4)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)


def fill_label(image: np.ndarray) -> np.ndarray:
    """The label of an image made of COLORS, 255 where it is FILL."""
    palette = np.vstack([COLORS, np.array(FILL, np.uint8)]).astype(int)
    distance = np.abs(image[..., None, :].astype(int) - palette).sum(-1)
    label = distance.argmin(-1).astype(np.uint8)
    return np.where(label == len(COLORS), UNLABELLED, label)


def inner(label: np.ndarray) -> np.ndarray:
    """Pixels whose neighbourhood is all one label: where bilinear and nearest cannot differ."""
    same = cv2.erode(label, np.ones((5, 5))) == cv2.dilate(label, np.ones((5, 5)))
    # Another label may begin right behind the edge.
    ring = np.pad(np.ones((label.shape[0] - 4, label.shape[1] - 4), bool), 2)
    return same & ring


@settings(deadline=None, max_examples=60)
@given(sizes, seeds)
def test_image_and_label_stay_aligned(size, seed):
    label = scene(*size, seed)
    config = dataclasses.replace(
        FULL, brightness=0, contrast=0, saturation=0, hue=0, gamma=0, blur=0, noise=0
    )
    image = COLORS[label]
    pair = augment(Pair(image, image, label), np.random.default_rng(seed), config)
    assert pair.frame.shape == (32, 48, 3) and pair.label.shape == (32, 48)
    sure = inner(pair.label)
    assert np.array_equal(fill_label(pair.frame)[sure], pair.label[sure])


@settings(deadline=None, max_examples=60)
@given(sizes, seeds)
def test_soft_labels_stay_aligned(size, seed):
    """In half the image's resolution, or in a third."""
    rng = np.random.default_rng(seed)
    finer = int(rng.integers(2, 4))
    coarse = scene(*size, seed)
    label = np.repeat(np.repeat(coarse, finer, 0), finer, 1)
    soft = np.uint8(255) * (coarse[..., None] == np.arange(len(COLORS))).astype(np.uint8)
    image = COLORS[label]
    pair = augment(Pair(image, image, label, soft), rng, FULL)
    assert pair.soft.shape == (32, 48, len(COLORS)) and pair.soft.dtype == np.uint8
    apart = 2 * finer + 3  # Interpolation mixes what lies within a pixel of the coarse labels.
    wide = cv2.copyMakeBorder(pair.label, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    same = (cv2.erode(wide, np.ones((apart, apart))) == cv2.dilate(wide, np.ones((apart, apart))))[1:-1, 1:-1]
    sure = same & np.pad(np.ones((32 - 2 * apart, 48 - 2 * apart), bool), apart)
    inside = sure & (pair.label != UNLABELLED)
    assert np.array_equal(pair.soft.argmax(-1)[inside], pair.label[inside])
    assert np.all(np.abs(pair.soft.astype(int).sum(-1)[inside] - 255) <= 3)
    assert np.all(pair.soft[sure & (pair.label == UNLABELLED)] == 0)


def test_soft_labels_lie_where_the_image_does_to_the_pixel():
    """Half as many pixels: each lies between four of the image, the same from the left as from the right."""
    image = np.zeros((32, 48, 3), np.uint8)
    soft = np.zeros((16, 24, 1), np.uint8)
    soft[:, :12] = 255
    for flip in (0.0, 1.0):
        pair = augment(
            Pair(image, image, image[..., 0], soft),
            np.random.default_rng(0),
            dataclasses.replace(STILL, flip=flip),
        )
        row = pair.soft[16, :, 0] if flip == 0 else pair.soft[16, ::-1, 0]
        assert row[22:26].tolist() == [255, 191, 64, 0]


@settings(deadline=None, max_examples=60)
@given(sizes, seeds)
def test_both_frames_get_the_same_view_and_colours(size, seed):
    label = scene(*size, seed)
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    pair = augment(Pair(image, image.copy(), label), rng, dataclasses.replace(FULL, noise=0.0))
    assert np.array_equal(pair.frame, pair.neighbour)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_noise_is_each_frame_s_own_and_the_rest_is_common(seed):
    image = np.full((64, 64, 3), 120, np.uint8)
    config = dataclasses.replace(STILL, noise=1.0)
    pair = augment(Pair(image, image, scene(64, 64, 0)), np.random.default_rng(seed), config)
    difference = pair.frame.astype(int) - pair.neighbour
    assert np.any(difference) and abs(difference.mean()) < 2


def test_a_neighbour_of_another_size_is_brought_to_the_frame_s():
    label = scene(40, 60, 3)
    image = COLORS[label]
    large = cv2.resize(image, (120, 80), interpolation=cv2.INTER_NEAREST)
    pair = augment(
        Pair(image, large, label), np.random.default_rng(0), dataclasses.replace(STILL, crop=(60, 40))
    )
    assert np.array_equal(pair.frame, image) and np.array_equal(pair.neighbour, image)


def test_without_changes_the_crop_is_the_image():
    label = scene(32, 48, 1)
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
    pair = augment(Pair(image, image, label), np.random.default_rng(0), STILL)
    assert np.array_equal(pair.frame, image) and np.array_equal(pair.label, label)


def test_a_flip_mirrors_image_and_label():
    label = scene(32, 48, 1)
    image = COLORS[label]
    pair = augment(Pair(image, image, label), np.random.default_rng(0), dataclasses.replace(STILL, flip=1.0))
    assert np.array_equal(pair.frame, image[:, ::-1]) and np.array_equal(pair.label, label[:, ::-1])


def test_outside_of_the_image_there_is_no_class():
    label = scene(16, 16, 1)
    image = COLORS[label]
    pair = augment(Pair(image, image, label), np.random.default_rng(0), STILL)
    assert np.count_nonzero(pair.label != UNLABELLED) == 16 * 16
    outside = cv2.erode((pair.label == UNLABELLED).astype(np.uint8), np.ones((3, 3))) > 0
    assert np.all(pair.frame[outside] == FILL) and np.all(pair.neighbour[outside] == FILL)


def test_every_place_of_the_image_is_seen():
    label = np.zeros((64, 96), np.uint8)
    seen = np.zeros(label.shape, bool)
    y, x = np.mgrid[:64, :96].astype(np.uint8)
    image = np.stack([x, y, np.zeros_like(x)], -1)
    rng = np.random.default_rng(0)
    for _ in range(300):
        frame = augment(Pair(image, image, label), rng, STILL).frame
        seen[frame[..., 1], frame[..., 0]] = True
    assert seen.mean() > 0.97


@given(seeds)
def test_colour_changes_keep_grey_grey_but_for_hue(seed):
    rng = np.random.default_rng(seed)
    color = random_color(rng, AugmentConfig())
    grey = np.full((1, 5, 3), [[40], [80], [120], [160], [200]], np.uint8)
    out = recolor(grey, color, np.arange(256, dtype=np.uint8)).astype(int)
    assert np.ptp(out, axis=-1).max() <= 1
    assert np.all(np.diff(out[0, :, 0]) >= 0)


# -- displacements ---------------------------------------------------------------------------------------------


def smooth(height: int, width: int, seed: int) -> np.ndarray:
    """A picture without edges, float32 H×W, 0-255."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (4, 5)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def seen_along(neighbour: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """A neighbour (H×W×3) moved along a displacement in shares of its sides: what the frame should look like."""
    height, width = neighbour.shape[:2]
    full = cv2.resize(displacement, (width, height), interpolation=cv2.INTER_LINEAR) * (width, height)
    x, y = pixel_grid(width, height)
    return cv2.remap(neighbour, x + np.float32(full[..., 0]), y + np.float32(full[..., 1]), cv2.INTER_LINEAR)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_a_displacement_leads_from_a_view_of_the_frame_to_that_of_its_neighbour(seed):
    picture = np.repeat(smooth(80, 100, seed)[..., None], 3, -1).astype(np.uint8)
    # What is at p in one is at p + (4, 3) in the other.
    frame, neighbour = picture[5:69, 7:91], picture[2:66, 3:87]
    shares = np.full((16, 21, 2), (4 / 84, 3 / 64), np.float32)
    config = dataclasses.replace(FULL, crop=(50, 34), scale=(0.8, 2.0), blur=0.0, noise=0.0)
    pair = Pair(frame, neighbour, np.zeros((64, 84), np.uint8), None, shares)
    view = augment(pair, np.random.default_rng(seed), config)
    assert view.displacement.shape == (9, 13, 2) and view.displacement.dtype == np.float32
    moved = seen_along(view.neighbour, view.displacement).astype(int)
    # Where the frame's own picture is, and as far from its border as its neighbour may be.
    sure = cv2.erode((view.label != UNLABELLED).astype(np.uint8), np.ones((25, 25)), borderValue=0) > 0
    if np.any(sure):
        assert np.abs(moved - view.frame)[sure].mean() < 3


def test_the_flow_to_a_simulated_neighbour_is_that_of_its_motion():
    frame = np.repeat(smooth(90, 120, 0)[..., None], 3, -1).astype(np.uint8)
    config = MotionConfig(peak=0.05, steer=0.02, patches=0, exposure=0.0, blur=0.0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        neighbour, motion = simulate_neighbour(frame, rng, config)
        inner = np.s_[20:-20, 25:-25]
        exact = seen_along(neighbour, measured_flow(motion, rng, 0.0)).astype(int)
        unmoved = np.abs(neighbour.astype(int) - frame)[inner].mean()
        assert np.abs(exact - frame)[inner].mean() < max(0.3 * unmoved, 1.5)
    errors = measured_flow(np.zeros((90, 120, 2), np.float32), rng, 0.01) * (120, 90)
    assert 0.6 < errors.std() < 1.3


# -- simulated neighbours --------------------------------------------------------------------------------------


def test_a_simulated_neighbour_is_the_same_for_the_same_seed_and_of_the_same_size():
    image = COLORS[scene(60, 80, 2)]
    first, second, third = (
        simulate_neighbour(image, np.random.default_rng(seed), MotionConfig())[0] for seed in (1, 1, 2)
    )
    assert first.shape == image.shape and first.dtype == np.uint8
    assert np.array_equal(first, second) and not np.array_equal(first, third)


def test_without_motion_the_neighbour_is_the_frame():
    image = COLORS[scene(60, 80, 2)]
    still = MotionConfig(peak=0.0, steer=0.0, patches=0, exposure=0.0, blur=0.0)
    moved, _ = simulate_neighbour(image, np.random.default_rng(0), still)
    # A slight roll is left, which moves no pixel of an image this small by more than two.
    sure = inner(fill_label(image))
    assert np.abs(moved[sure].astype(int) - image[sure]).max() <= 12


@pytest.mark.parametrize("peak", [0.02, 0.1])
def test_forward_motion_is_as_large_as_asked_and_grows_towards_the_edge(peak):
    config = MotionConfig(peak=peak, steer=0.0, patches=0)
    rng = np.random.default_rng(0)
    lengths = np.array([np.hypot(*displacement(160, 120, rng, config)) for _ in range(200)])
    fastest = np.median(lengths.reshape(200, -1).max(1)) / 160
    assert peak / 4 < fastest < peak * 2
    middle, edge = lengths[:, 45:60, 70:90].mean(), lengths[:, 100:, :20].mean()
    assert edge > 3 * middle


def test_pixel_grid_counts_from_the_top_left():
    x, y = pixel_grid(3, 2)
    assert x.tolist() == [[0, 1, 2], [0, 1, 2]] and y.tolist() == [[0, 0, 0], [1, 1, 1]]
