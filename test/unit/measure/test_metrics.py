"""Metrics against the published evaluation's numbers, their own definitions, and facts about CamVid."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.metrics import ConfusionMatrix, VideoConsistency

MEASURES = ("mean_iou", "weighted_iou", "mean_accuracy", "pixel_accuracy")
CLASSES = 5


LABELS = st.sampled_from([0, 1, 2, 3, 4])


def label_maps(low: int = 1, high: int = 6, values=LABELS):
    return npst.arrays(np.uint8, st.tuples(*[st.integers(low, high)] * 2), elements=values)


def videos(frames: int = 12, classes: int = 2):
    """Videos of two labels on a few pixels: small enough for labels to stay the same now and then."""
    return npst.arrays(
        np.uint8,
        st.tuples(st.integers(1, frames), st.just(2), st.just(3)),
        elements=st.integers(0, classes - 1),
    )


# -- the published numbers -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(reference_root):
    with np.load(reference_root / "cases" / "metrics.npz") as case:
        return dict(case)


@pytest.mark.parametrize(
    ("name", "measure"), [("mIoU", "mean_iou"), ("wIoU", "weighted_iou"), ("macc", "mean_accuracy")]
)
def test_equals_the_published_measures(published, name, measure):
    matrix = ConfusionMatrix.of(published["prediction"], published["target"], int(published["num_classes"]))
    assert getattr(matrix, measure) == pytest.approx(float(published[name]), abs=1e-12)


@pytest.mark.parametrize("window", [8, 16])
def test_equals_the_published_video_consistency(published, window, video_consistency):
    ours = video_consistency(published["prediction"], published["target"], window)
    assert ours == pytest.approx(float(published[f"VC{window}"]), abs=1e-9)
    assert ours == video_consistency(
        published["prediction"], published["target"], window, int(published["num_classes"])
    )


# -- the confusion matrix ------------------------------------------------------------------------------------


def test_rows_are_truth_and_columns_prediction():
    matrix = ConfusionMatrix.of(np.array([[1, 1, 0]]), np.array([[0, 1, 2]]), 3)
    assert matrix.counts.tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_hand_made_measures():
    # Class 0: 2 of 3 found, 1 too many. Class 1: 2 of 3 found, 1 too many. Class 2: in neither.
    matrix = ConfusionMatrix.of([0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1], 3)
    assert matrix.per_class_iou[:2] == pytest.approx([0.5, 0.5])
    assert np.isnan(matrix.per_class_iou[2])
    assert matrix.mean_iou == pytest.approx(0.5)
    assert matrix.mean_accuracy == pytest.approx(2 / 3)
    assert matrix.pixel_accuracy == pytest.approx(2 / 3)


def test_a_class_only_predicted_counts_as_wrong_but_has_no_accuracy():
    matrix = ConfusionMatrix.of([0, 2], [0, 0], 3)
    assert matrix.per_class_iou.tolist()[::2] == [0.5, 0.0]
    assert matrix.mean_iou == pytest.approx(0.25)
    assert matrix.mean_accuracy == pytest.approx(0.5)
    assert np.isnan(matrix.per_class_accuracy[2])


@given(label_maps())
def test_a_perfect_prediction_scores_one(target):
    matrix = ConfusionMatrix.of(target, target, CLASSES)
    for measure in MEASURES:
        assert getattr(matrix, measure) == pytest.approx(1.0)


@given(st.data())
def test_measures_do_not_depend_on_the_order_of_pixels_or_the_numbering_of_classes(data):
    target = data.draw(label_maps())
    prediction = data.draw(npst.arrays(np.uint8, target.shape, elements=st.integers(0, CLASSES - 1)))
    pixels = np.array(data.draw(st.permutations(range(target.size))))
    names = np.array(data.draw(st.permutations(range(CLASSES))))
    matrix = ConfusionMatrix.of(prediction, target, CLASSES)
    shuffled = ConfusionMatrix.of(names[prediction.ravel()[pixels]], names[target.ravel()[pixels]], CLASSES)
    assert np.array_equal(shuffled.counts[np.ix_(names, names)], matrix.counts)
    for measure in MEASURES:
        assert getattr(shuffled, measure) == pytest.approx(getattr(matrix, measure))


@given(st.data())
def test_what_is_predicted_on_unlabelled_pixels_does_not_matter(data):
    target = data.draw(label_maps(values=st.sampled_from([0, 1, 2, 3, 4, CLASSES, 200, 255])))
    prediction, other = (
        data.draw(npst.arrays(np.uint8, target.shape, elements=st.integers(0, CLASSES - 1))) for _ in range(2)
    )
    other = np.where(target < CLASSES, prediction, other)
    matrix = ConfusionMatrix.of(prediction, target, CLASSES)
    assert matrix == ConfusionMatrix.of(other, target, CLASSES)
    assert matrix.pixels == np.count_nonzero(target < CLASSES)


@given(st.data())
def test_parts_add_up_to_the_whole(data):
    frames = data.draw(st.integers(1, 5))
    target, prediction = (
        data.draw(npst.arrays(np.uint8, (frames, 3, 4), elements=st.sampled_from([0, 1, 2, 3, 4, 255])))
        for _ in range(2)
    )
    matrix = sum(
        (ConfusionMatrix.of(p, t, CLASSES) for p, t in zip(prediction, target, strict=True)),
        ConfusionMatrix.empty(CLASSES),
    )
    assert matrix == ConfusionMatrix.of(prediction, target, CLASSES)
    assert hash(matrix) == hash(ConfusionMatrix.of(prediction, target, CLASSES))


def test_a_confusion_matrix_is_a_value():
    counts = np.eye(3, dtype=np.int64)
    matrix = ConfusionMatrix(counts)
    counts[0, 0] = 7
    assert matrix.pixels == 3
    with pytest.raises(ValueError, match="read-only"):
        matrix.counts[0, 0] = 7
    assert matrix + ConfusionMatrix.empty(3) == matrix
    assert matrix != ConfusionMatrix.empty(3)


def test_nothing_to_measure_is_not_a_number():
    empty = ConfusionMatrix.of(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8), 3)
    assert empty.pixels == 0
    assert all(
        np.isnan(value)
        for value in (empty.mean_iou, empty.weighted_iou, empty.mean_accuracy, empty.pixel_accuracy)
    )


def test_wrong_arguments_are_named():
    with pytest.raises(DcfmError, match="2×3.*3×2"):
        ConfusionMatrix.of(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)
    with pytest.raises(DcfmError, match="prediction holds class ids.*float32"):
        ConfusionMatrix.of(np.zeros(3, np.float32), np.zeros(3, np.uint8), 2)
    with pytest.raises(DcfmError, match="square.*2×3"):
        ConfusionMatrix(np.zeros((2, 3), np.int64))
    with pytest.raises(DcfmError, match="2 and 3 classes"):
        ConfusionMatrix.empty(2) + ConfusionMatrix.empty(3)


# -- video consistency ---------------------------------------------------------------------------------------


def consistency_as_defined(prediction, target, window):
    """The definition, window by window."""
    shares = []
    for begin in range(len(target) - window):
        same = (target[begin : begin + window] == target[begin]).all(axis=0)
        kept = (prediction[begin : begin + window] == prediction[begin]).all(axis=0)
        if same.any():
            shares.append((same & kept).sum() / same.sum())
    return np.mean(shares) if shares else np.nan


@settings(max_examples=200)
@given(st.data(), st.integers(1, 4))
def test_video_consistency_is_what_its_definition_says(video_consistency, data, window):
    target = data.draw(videos())
    prediction = data.draw(npst.arrays(np.uint8, target.shape, elements=st.integers(0, 1)))
    expected = consistency_as_defined(prediction, target, window)
    assert video_consistency(iter(prediction), iter(target), window) == pytest.approx(expected, nan_ok=True)


@given(videos())
def test_a_perfect_prediction_is_consistent(video_consistency, target):
    value = video_consistency(target, target, 2)
    steady = not np.isnan(consistency_as_defined(target, target, 2))  # some pixel keeps its class
    assert value == 1.0 if steady else np.isnan(value)


def test_a_constant_prediction_is_consistent_however_wrong(video_consistency):
    target = np.random.default_rng(0).integers(0, 2, (9, 4, 4), np.uint8)
    assert video_consistency(np.full_like(target, 7), target, 2) == 1.0


def test_pixels_without_truth_can_be_left_out(video_consistency):
    target = np.zeros((4, 1, 2), np.uint8)
    target[..., 1] = 255
    prediction = np.zeros_like(target)
    prediction[::2, :, 1] = 1
    assert video_consistency(prediction, target, 2) == pytest.approx(0.5)
    assert video_consistency(prediction, target, 2, num_classes=2) == 1.0


def test_no_window_reaches_over_a_cut():
    rng = np.random.default_rng(1)
    clips = [(rng.integers(0, 2, (6, 3, 3), np.uint8), np.zeros((6, 3, 3), np.uint8)) for _ in range(2)]
    meter = VideoConsistency((2, 3))
    for prediction, target in clips:
        for pair in zip(prediction, target, strict=True):
            meter.add(*pair)
        meter.next_video()
    for window in (2, 3):
        # The clips have the same number of windows, so the mean of all is the mean of the two.
        expected = np.mean([consistency_as_defined(*clip, window) for clip in clips])
        assert meter.value(window) == pytest.approx(expected)


@pytest.mark.parametrize("frames", [1, 7, 8])
def test_a_video_no_longer_than_the_window_has_no_consistency(frames, video_consistency):
    video = np.zeros((frames, 2, 2), np.uint8)
    assert np.isnan(video_consistency(video, video, 8))


def test_wrong_videos_are_named(video_consistency):
    video = np.zeros((4, 2, 2), np.uint8)
    with pytest.raises(DcfmError, match="2×2 and then 3×2"):
        video_consistency([*video, np.zeros((3, 2), np.uint8)], [*video, np.zeros((3, 2), np.uint8)], 2)
    with pytest.raises(DcfmError, match="windows of 1 frame or more"):
        VideoConsistency(())


# -- facts about real video ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def camvid_val(data_root):
    folder = data_root / "camvid" / "val" / "0016E5" / "label"
    if not folder.is_dir():
        pytest.skip(f"no CamVid labels in {folder}")
    return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(folder.glob("*.png"))]


@pytest.mark.parametrize(("frames", "agreement"), [(1, 95.0), (2, 92.5), (5, 87.7), (15, 79.6)])
def test_a_copied_label_agrees_with_camvid_as_known(camvid_val, frames, agreement):
    assert len(camvid_val) == 101
    matrix = ConfusionMatrix.empty(11)
    for earlier, later in zip(camvid_val, camvid_val[frames:], strict=False):
        matrix += ConfusionMatrix.of(earlier, later, 11)
    assert 100 * matrix.pixel_accuracy == pytest.approx(agreement, abs=0.05)
