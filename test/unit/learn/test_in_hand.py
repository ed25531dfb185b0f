"""The mask in hand when a frame comes: worked out by hand for durations that are made up."""

import numpy as np
import pytest
from oracle import SIZE, Oracle, video_of

from dcfm_lab.evaluation.config import CAUSAL, COPIED, WARPED_CHEAPLY, EvaluationConfig, MethodSpec
from dcfm_lab.evaluation.in_hand import Runs, in_hand
from dcfm_lab.evaluation.speed import Speed, measure_speed

FRAMES = 12
ALTERNATING = [np.full(SIZE[::-1], i % 3, np.uint8) for i in range(FRAMES)]
STILL = [ALTERNATING[0]] * FRAMES
EVERY, REUSED, MASKS = MethodSpec(CAUSAL, 1), MethodSpec(CAUSAL, 4, align="flow"), MethodSpec(COPIED, 3)


def found(truth, spec, speed, rate, first_ms=0.0):
    engine = Oracle(truth)
    return in_hand(3, [Runs(engine, video_of(truth), spec, SIZE)], speed, rate, first_ms)


def test_a_mask_is_at_least_one_frame_old():
    result = found(ALTERNATING, EVERY, Speed(50.0), 10.0)
    assert (result.rate, result.age_ms, result.used_share) == (10.0, pytest.approx(100.0), 1.0)
    assert result.mean_iou == 0  # every frame is of another class than the one before


def test_where_nothing_moves_its_age_does_not_matter():
    assert found(STILL, EVERY, Speed(50.0), 10.0).mean_iou == 1.0


def test_who_is_too_slow_drops_frames():
    """100 ms for each, a frame each 40 ms: worked on are 0 (to 100), 2 (to 200), 5 (at 200, to 300), 7, 10, 11."""
    result = found(ALTERNATING, EVERY, Speed(100.0), 25.0)
    assert result.used_share == pytest.approx(6 / FRAMES)
    # Frames 3, 4 have mask 0; 5 to 7 have 2; 8, 9 have 5; 10, 11 have 7 (done at 400).
    ages = [3, 4, 3, 4, 5, 3, 4, 3, 4]
    assert result.age_ms == pytest.approx(40 * np.mean(ages))
    assert result.mean_iou == pytest.approx(_mean_iou([0, 0, 2, 2, 2, 5, 5, 7, 7], range(3, 12)))


def _mean_iou(seen, frames):
    got, true = np.array([s % 3 for s in seen]), np.array([f % 3 for f in frames])
    return np.mean([np.sum((got == c) & (true == c)) / np.sum((got == c) | (true == c)) for c in range(3)])


def test_a_frame_counts_with_its_kind():
    """Key frames take 90 ms, others 20: at 25 Hz frame 0 is done at 90, 2 (which came at 80) at 110, 3 at 140, ..."""
    result = found(STILL, REUSED, Speed(90.0, 20.0), 25.0)
    # Of 0, 2, 3, 4, 5, 7, 8, 9, 10 and 11, every fourth is a key frame: 1 and 6 come while one is worked on.
    assert result.used_share == pytest.approx(10 / FRAMES)


def test_the_first_frames_are_nobodys():
    whole, later = (found(ALTERNATING, MASKS, Speed(10.0, 1.0), 10.0, first_ms) for first_ms in (0.0, 500.0))
    assert whole.age_ms == later.age_ms == pytest.approx(100.0)
    assert found(ALTERNATING, EVERY, Speed(10.0), 10.0, 5000.0).mean_iou is None


def test_rates_that_drop_nothing_are_computed_once():
    engine = Oracle(ALTERNATING)
    runs = Runs(engine, video_of(ALTERNATING), EVERY, SIZE)
    ages = {rate: in_hand(3, [runs], Speed(50.0), rate, 0.0).age_ms for rate in (5.0, 10.0, 20.0)}
    assert ages == {5.0: pytest.approx(200), 10.0: pytest.approx(100), 20.0: pytest.approx(50)}
    assert engine.calls["label_map"] == FRAMES
    dropping = in_hand(3, [runs], Speed(50.0), 40.0, 0.0)
    assert dropping.used_share == pytest.approx(0.5, abs=0.1) and engine.calls["label_map"] < 2 * FRAMES
    assert dropping == in_hand(3, [Runs(engine, runs.video, EVERY, SIZE)], Speed(50.0), 40.0, 0.0)


@pytest.mark.parametrize("method", [COPIED, WARPED_CHEAPLY])
def test_masks_are_carried_from_the_frames_that_were_seen(method):
    spec = MethodSpec(method, 3)
    result = found(STILL, spec, Speed(20.0, 5.0), 30.0)
    assert result.mean_iou == 1.0 and result.used_share == 1.0


def test_every_kind_of_frame_is_timed():
    config = EvaluationConfig(key_intervals=(1, 6), independent_intervals=(2,), align="flow")
    speeds = measure_speed(Oracle(ALTERNATING), video_of(STILL), config.specs(), SIZE, frames=24)
    (moved,) = [speed for spec, speed in speeds.items() if spec.independent_interval == 2]
    assert moved.moved_ms and moved.borrowing_ms and moved.moved_share == pytest.approx(0.6, abs=0.05)
    assert min(moved.moved_ms, moved.borrowing_ms) < moved.other_ms < max(moved.moved_ms, moved.borrowing_ms)
    assert speeds[EVERY].other_ms is None
