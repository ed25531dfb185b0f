"""What a run counts: video consistency of frames that follow each other, and labels that say what no class is."""

import numpy as np
import pytest

from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS
from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.summary import FrameRecord, usual_interval_ms
from dcfm_ros.replay.tally import Tally


def filled(labels):
    """A run of masks of class 0; labels: a value per frame, None without a label, "lost" without a mask."""
    tally = Tally(ModelCard())
    mask = np.zeros((8, 8), np.uint8)
    for index, value in enumerate(labels):
        record = FrameRecord(10**9 + index * 10**8)
        if value == "lost":
            tally.lose(record)
        else:
            label = None if value is None else np.full((8, 8), value, np.uint8)
            tally.add(record, np.zeros((8, 8, 3), np.uint8), mask, label)
    return tally


@pytest.mark.parametrize("between", [None, "lost"])
def test_video_consistency_reaches_over_no_gap(between):
    tally = filled([0] * 6 + [between] * 3 + [0] * 7)
    spans = [span.video_consistency for span in tally.spans()]
    for values in (tally.video_consistency(), *spans):
        assert set(values) == set(CONSISTENCY_WINDOWS) and all(map(np.isnan, values.values()))
    assert filled([between, *[0] * 9]).video_consistency()[8] == 1


def two_eyes(order, sizes=((64, 48), (64, 48)), ids=("left", "right")):
    """Each eye sees a picture of its own that stands still, and its masks stand still, too."""
    rng = np.random.default_rng(0)
    tally = Tally(ModelCard())
    eyes = []
    for width, height in sizes:
        rgb = rng.integers(0, 255, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        eyes.append((rgb, rng.integers(0, 2, (height, width), np.uint8)))
    for step in order:
        for (rgb, mask), frame_id in zip(eyes, ids, strict=True):
            tally.add(FrameRecord(10**9 + step * 10**8), rgb, mask, mask, frame_id=frame_id)
    return tally


@pytest.mark.parametrize(
    ("sizes", "ids"),
    [(((64, 48), (64, 48)), ("left", "right")), (((64, 48), (32, 24)), ("camera", "camera"))],
)
def test_what_is_measured_from_frame_to_frame_is_so_for_each_camera(sizes, ids):
    tally = two_eyes(range(10), sizes, ids)
    assert [record.flow_consistency for record in tally.records[2:]] == [1.0] * 18
    assert tally.video_consistency()[8] == 1.0
    assert sum(tally.breaks.values()) <= (ids[0] == ids[1])  # a second size is one, its return is none


def test_neighbours_that_have_changed_places_are_no_break():
    assert not two_eyes([0, 1, 3, 2, 4, 5, 7, 6, 8]).breaks
    assert two_eyes([0, 1, 2, 3, 0, 1, 2]).breaks == {"the stamps jump back": 2}  # one for each eye


def test_cameras_that_are_named_at_random_fill_no_memory():
    tally = Tally(ModelCard())
    picture = np.zeros((48, 64, 3), np.uint8)
    for index in range(40):
        tally.add(FrameRecord(10**9 + index), picture, picture[..., 0], picture[..., 0], frame_id=str(index))
    assert len(tally._cameras._known) <= 8 and len(tally._video._videos) <= 8


def test_values_that_are_no_class_are_told():
    tally = filled([0, 11, 200, 255])
    assert tally.label_problems == {"none of its pixels has a class (0 to 10)": 3}
    label = np.zeros((8, 8), np.uint8)
    label[0] = 11
    tally.add(FrameRecord(10**9), np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), label)
    assert tally.label_problems["in part: values that are no class (0 to 10, or 255 for none)"] == 1
    assert tally.labelled == 2 and tally.confusion.pixels == 64 + 56


@pytest.mark.parametrize(
    ("times", "interval"), [([0, 100, 200], 100), ([0, 0, 100, 100], 100), ([0] * 9 + [1000] * 9, None)]
)
def test_a_clock_of_whole_seconds_tells_no_rate(times, interval):
    assert usual_interval_ms(times) == interval
