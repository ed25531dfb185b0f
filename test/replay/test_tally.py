"""What a run counts: video consistency of frames that follow each other, and labels that say what no class is."""

import numpy as np
import pytest

from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS
from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.frame_record import FrameRecord
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


def test_values_that_are_no_class_are_told():
    tally = filled([0, 11, 200, 255])
    assert tally.label_problems == {"in part: values that are no class (0 to 10, or 255 for none)": 2}
    assert tally.confusion.pixels == 64
