"""The ground plane: projecting and back, and free space in scenes whose geometry is known exactly."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dcfm_ros.errors import DcfmError
from dcfm_ros.space.camera import camera_of
from dcfm_ros.space.ground import (
    FREE,
    OCCUPIED,
    UNKNOWN,
    Grid,
    Kinds,
    free_space,
    mount_of_angles,
    mount_of_pose,
    occupancy,
    on_ground,
)

ROAD, CAR, SKY = 0, 1, 2
SIZE = (320, 240)
CAMERA = camera_of([260.0, 0, 159.5, 0, 260.0, 119.5, 0, 0, 1], SIZE)
GRID = Grid(200, 0.1)
IDS = np.arange(256)
KINDS = Kinds(IDS == ROAD, IDS == CAR)
SURE = np.full((240, 320), 255, np.uint8)


def scene(mount, box=None):
    """The mask of a road to the horizon with a box (x0, x1, y0, y1, height) on it, each pixel's ray cast exactly."""
    way = CAMERA.rays.reshape(-1, 2) @ mount.turn[:, :2].T + mount.turn[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(way[:, 2] < 0, -mount.eye[2] / way[:, 2], np.inf)
        mask = np.where(np.isfinite(far), ROAD, SKY)
        if box:
            low, high = np.array([*box[0:4:2], 0.0]), np.array([*box[1:4:2], box[4]])
            sides = np.stack([(low - mount.eye) / way, (high - mount.eye) / way])
            enter, leave = sides.min(0).max(1), sides.max(0).min(1)
            mask[(enter > 0) & (enter <= leave) & (enter < far)] = CAR
    return mask.reshape(240, 320).astype(np.uint8)


def state_of(mask, mount, reach=10.0, confidence=SURE):
    return free_space(mask, confidence, CAMERA, mount, GRID, KINDS, reach)


def cell(grid, x, y):
    return grid[int((y - GRID.corner) / GRID.resolution), int((x - GRID.corner) / GRID.resolution)]


@given(
    st.floats(0.3, 3), st.floats(-0.2, 0.6), st.floats(-0.3, 0.3), st.integers(0, 319), st.integers(0, 239)
)
def test_a_pixel_on_the_ground_is_seen_by_that_pixel(height, pitch, roll, column, row):
    mount = mount_of_angles(height, pitch, roll, 0.4)
    ((x, y),) = on_ground(CAMERA.rays[row, column][None], mount)
    assume(np.isfinite(x) and math.hypot(x, y) < 200)
    (place,), (seen,) = CAMERA.pixels((np.array([[x, y, 0.0]]) - mount.eye) @ mount.turn)
    assert seen and tuple(place) == (row, column)


@given(st.floats(0.3, 3), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_pose_and_its_angles_are_the_same_mount(height, pitch, roll):
    mount = mount_of_angles(height, pitch, roll)
    half = (1 + np.trace(mount.turn)) ** 0.5 / 2
    turn = mount.turn
    assume(half > 0.1)
    x, y, z = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / (
        4 * half
    )
    posed = mount_of_pose((0, 0, height), (x * 3, y * 3, z * 3, half * 3))
    assert np.allclose(posed.turn, turn, atol=1e-9) and np.allclose(posed.eye, mount.eye)


def test_positive_pitch_looks_down_and_positive_roll_leans_right():
    down = mount_of_angles(1.0, 0.3, 0.0)
    assert np.allclose(down.turn[:, 2], [math.cos(0.3), 0, -math.sin(0.3)])
    leaning = mount_of_angles(1.0, 0.0, 0.2)
    assert leaning.turn[2, 0] < 0  # the picture's right side is nearer to the ground


@settings(max_examples=30)
@given(
    st.floats(0.5, 2),
    st.floats(0.05, 0.4),
    st.floats(-0.1, 0.1),
    st.floats(3, 7),
    st.floats(-1, 1),
    st.floats(0.2, 2),
)
def test_a_box_is_occupied_at_its_foot_and_hides_what_is_behind(height, pitch, roll, x, y, tall):
    mount = mount_of_angles(height, pitch, roll)
    state, weight = state_of(scene(mount, (x, x + 1, y - 0.6, y + 0.6, tall)), mount)
    in_view = np.flatnonzero(state.ravel() == OCCUPIED)
    assume(len(in_view))
    at = GRID.centres()[in_view]
    # In the box, as far as cells tell and a few pixels, of which each reaches over more ground the further it is.
    reach = np.hypot(at[:, 0], at[:, 1])
    near = 0.15 + 5 * reach**2 / (260 * height)
    off = np.maximum.reduce([x - at[:, 0], at[:, 0] - x - 1, np.abs(at[:, 1] - y) - 0.6])
    assert (off <= near).all()
    assert cell(state, x + 0.5, y) != FREE
    if cell(state, x - 1.5, y) != UNKNOWN:
        assert cell(state, x - 1.5, y) == FREE
    assert (state[weight == 0] == UNKNOWN).all()


def test_nothing_is_known_where_nothing_is_seen():
    mount = mount_of_angles(1.2, 0.2, 0.0)
    state, _ = state_of(scene(mount), mount, reach=8.0)
    x, y, _ = GRID.centres().T
    flat = state.ravel()
    assert (flat[x < 0] == UNKNOWN).all()
    assert (flat[np.hypot(x, y) > 8.1] == UNKNOWN).all()
    assert cell(state, 5, 0) == FREE
    assert not (state == OCCUPIED).any()


def test_other_classes_and_things_that_hang_are_unknown():
    mount = mount_of_angles(1.2, 0.2, 0.0)
    mask = scene(mount)
    mask[mask == SKY] = CAR  # its lower border is the horizon
    mask[200:] = SKY
    state, _ = state_of(mask, mount)
    assert not (state == OCCUPIED).any()


def test_an_obstacle_above_another_class_has_no_foot():
    mount = mount_of_angles(1.2, 0.4, 0.0)
    mask = scene(mount)
    mask[:100], mask[100:140] = CAR, SKY
    assert not (state_of(mask, mount)[0] == OCCUPIED).any()
    mask[100:140] = ROAD
    assert (state_of(mask, mount)[0] == OCCUPIED).any()


def test_an_obstacle_at_the_lower_border_is_occupied_there():
    mount = mount_of_angles(1.2, 0.4, 0.0)
    state, _ = state_of(np.full((240, 320), CAR, np.uint8), mount)
    x, _, _ = GRID.centres()[np.flatnonzero(state.ravel() == OCCUPIED)].T
    lowest = on_ground(CAMERA.rays[239, 160][None], mount)[0, 0]
    assert len(x) and np.allclose(x, lowest, atol=0.1)


@pytest.mark.parametrize(
    ("mount", "says"),
    [
        (mount_of_angles(1.0, -1.2, 0.0), "sees no ground"),
        (mount_of_angles(30.0, 0.0, 0.0), "sees no ground"),
        (mount_of_angles(0.0, 0.2, 0.0), "expected more than 0"),
    ],
)
def test_a_camera_without_ground_is_told(mount, says):
    with pytest.raises(DcfmError, match=says):
        state_of(np.zeros((240, 320), np.uint8), mount)


@pytest.mark.parametrize("orientation", [(0, 0, 0, 0), (0, 0, 0, math.nan)])
def test_no_pose_is_refused(orientation):
    with pytest.raises(DcfmError, match="pose is not valid"):
        mount_of_pose((0, 0, 1), orientation)


@given(st.floats(0, 1), st.floats(0, 20))
def test_age_and_doubt_lead_to_the_middle_and_then_to_unknown(sure, age):
    state = np.array([FREE, OCCUPIED, UNKNOWN], np.int8)
    weight = np.full(3, sure, np.float32)
    free, occupied, unknown = occupancy(state, weight, age, 2.0, 0.25).tolist()
    assert unknown == UNKNOWN
    if sure * 0.5 ** (age / 2) < 0.2499:
        assert free == occupied == UNKNOWN
    elif sure * 0.5 ** (age / 2) > 0.2501:
        assert free + occupied == 100 and 50 < occupied <= 100
        assert abs(occupied - 50 * (1 + sure * 0.5 ** (age / 2))) <= 0.51
