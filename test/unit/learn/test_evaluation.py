"""Methods, schedules and baselines on made-up video with known answers; what is shared is computed once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import trees
from oracle import SIZE, Oracle, Still, Stubborn, Telltale, sliding_truth, video_of
from torch import nn

from dcfm_lab.datasets import open_dataset
from dcfm_lab.evaluation.actors import BORROWING, KEY, actor
from dcfm_lab.evaluation.config import (
    BIDIRECTIONAL,
    CAUSAL,
    COPIED,
    PUBLISHED,
    WARPED,
    WARPED_CHEAPLY,
    EvaluationConfig,
    MethodSpec,
)
from dcfm_lab.evaluation.cost import counted, model_cost
from dcfm_lab.evaluation.measure import evaluate
from dcfm_lab.evaluation.methods import build_method
from dcfm_lab.evaluation.scene import OpticalFlow, Scene
from dcfm_lab.evaluation.speed import measure_speed
from dcfm_lab.evaluation.video import open_footage, videos_of
from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.flow import warp
from dcfm_ros.measure.metrics import ConfusionMatrix
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model

TRUTH = sliding_truth()


def keys_used(spec: MethodSpec, offset: int = 0, frames: int = 7) -> list[tuple[list[int], bool]]:
    """For each frame, which key frames its mask comes from, and whether it was one."""
    video = video_of(TRUTH[:frames])
    scene = Scene(Telltale(TRUTH), video, SIZE, reach=6)
    method = build_method(spec, offset, scene)
    result = []
    for index in range(frames):
        scene.at(index)
        mask, key_frame = method.step(scene)
        bits = int(mask[0, 0])
        assert np.all(mask == bits)
        result.append(([i for i in range(8) if bits >> i & 1], key_frame))
    return result


# -- which key frame -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, [[0], [0], [0], [3], [3], [3], [6]]),
        # Any stream starts with a key frame; then the offset's.
        (1, [[0], [1], [1], [1], [4], [4], [4]]),
        (2, [[0], [0], [2], [2], [2], [5], [5]]),
    ],
)
def test_causal_uses_the_last_key_frame(offset, expected):
    used = keys_used(MethodSpec(CAUSAL, 3), offset)
    assert [keys for keys, _ in used] == expected
    assert [key for _, key in used] == [keys == [index] for index, (keys, _) in enumerate(used)]


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, [[0], [0, 3], [0, 3], [3], [3, 6], [3, 6], [6]]),
        # Before the first and after the last key frame there is one side only.
        (1, [[1], [1], [1, 4], [1, 4], [4], [4], [4]]),
        (2, [[2], [2], [2], [2, 5], [2, 5], [5], [5]]),
    ],
)
def test_bidirectional_adds_the_key_frames_at_both_sides(offset, expected):
    assert [keys for keys, _ in keys_used(MethodSpec(BIDIRECTIONAL, 3), offset)] == expected


@pytest.mark.parametrize("method", [COPIED])
def test_a_copied_mask_is_that_of_the_last_key_frame(method):
    assert [keys for keys, _ in keys_used(MethodSpec(method, 3), 1)] == [[0], [1], [1], [1], [4], [4], [4]]


def test_triggers_find_their_own_key_frames():
    assert keys_used(MethodSpec(CAUSAL, trigger="interval:3")) == keys_used(MethodSpec(CAUSAL, 3))
    # 15 Hz: 200 ms are three frames.
    assert keys_used(MethodSpec(CAUSAL, trigger="time:200")) == keys_used(MethodSpec(CAUSAL, 3))
    assert [keys for keys, _ in keys_used(MethodSpec(CAUSAL, trigger="time:100000"))] == [[0]] * 7
    every = keys_used(MethodSpec(CAUSAL, trigger="interval:5+max_age:1"))
    assert [keys for keys, _ in every] == [[i] for i in range(7)]


def test_a_video_shorter_than_the_offset_has_its_key_frame_at_the_beginning():
    for method in (CAUSAL, BIDIRECTIONAL, COPIED):
        assert [keys for keys, _ in keys_used(MethodSpec(method, 6), 5, frames=3)] == [[0]] * 3


# -- what it measures ------------------------------------------------------------------------------------------


def rows(engine, config, truth=TRUTH, **options):
    return evaluate(engine, [video_of(truth, **options)], config)


def copied_by_hand(interval: int, video_consistency) -> tuple[float, float]:
    """(mean IoU, VC of 2 frames) of copied masks, averaged over the offsets."""
    scores = []
    for offset in range(interval):
        key = lambda i, o=offset: 0 if i < o else i - (i - o) % interval  # noqa: E731
        masks = [TRUTH[key(i)] for i in range(len(TRUTH))]
        matrix = sum((ConfusionMatrix.of(m, t, 3) for m, t in zip(masks, TRUTH)), ConfusionMatrix.empty(3))
        scores.append((matrix.mean_iou, matrix.weighted_iou, video_consistency(masks, TRUTH, 8)))
    return tuple(np.mean(scores, axis=0))


def test_perfect_masks_are_perfect_and_copied_ones_as_bad_as_by_hand(video_consistency):
    table = rows(Oracle(TRUTH), EvaluationConfig(key_intervals=(1, 2, 3)))
    for interval in (1, 2, 3):
        assert table[MethodSpec(CAUSAL, interval)].mean_iou == 1.0
    assert table[MethodSpec(BIDIRECTIONAL, 3)].mean_iou == 1.0
    for interval in (2, 3):
        row = table[MethodSpec(COPIED, interval)]
        by_hand = copied_by_hand(interval, video_consistency)
        assert row.mean_iou == pytest.approx(by_hand[0]) and row.weighted_iou == pytest.approx(by_hand[1])
        assert row.mean_iou_min <= row.mean_iou <= row.mean_iou_max < 0.95
        assert row.offsets == interval
    # Key frames at 0, 3, 6, or at 0 (which every stream starts with), 1, 4, or at 0, 2, 5: 9 of 21 frames.
    assert table[MethodSpec(COPIED, 3)].key_share == pytest.approx(9 / 21)


def test_masks_moved_by_optical_flow_follow_what_slides():
    table = rows(Oracle(TRUTH), EvaluationConfig(key_intervals=(3,)))
    copied, moved, cheaply = (table[MethodSpec(m, 3)].mean_iou for m in (COPIED, WARPED, WARPED_CHEAPLY))
    # All but what slides in at the edge.
    assert copied < 0.9 and min(moved, cheaply) > 0.97


def test_a_model_that_only_repeats_its_key_frame_is_a_copy():
    table = rows(Stubborn(TRUTH), EvaluationConfig(key_intervals=(3,)))
    causal, copied = table[MethodSpec(CAUSAL, 3)], table[MethodSpec(COPIED, 3)]
    assert causal.mean_iou == copied.mean_iou and (causal.vc8, causal.vc16) == pytest.approx(
        (copied.vc8, copied.vc16)
    )


def test_features_are_moved_with_what_slides_and_the_published_method_leaves_them():
    frames = sliding_truth()
    engine = Still(frames)
    table = evaluate(engine, [video_of(frames)], EvaluationConfig(key_intervals=(3,), align="flow"))
    aligned, published = table[MethodSpec(CAUSAL, 3, align="flow")], table[MethodSpec(PUBLISHED, 3)]
    copied, cheaply = table[MethodSpec(COPIED, 3)], table[MethodSpec(WARPED_CHEAPLY, 3)]
    # Of an engine that only repeats its key frame, alignment makes a mask that is moved, and nothing else does.
    assert (
        published.mean_iou == copied.mean_iou < aligned.mean_iou == pytest.approx(cheaply.mean_iou, abs=0.02)
    )
    assert aligned.key_share == published.key_share


def test_consistency_is_that_of_the_published_measure(video_consistency):
    truth = sliding_truth(12)
    truth = [np.where(np.arange(SIZE[0]) < 80, 0, label).astype(np.uint8) for label in truth]
    row = rows(Oracle(truth), EvaluationConfig(key_intervals=(1,)), truth)[MethodSpec(CAUSAL, 1)]
    assert row.vc8 == video_consistency(truth, truth, 8) == 1.0
    assert row.vc16 is None


def test_fewer_offsets_are_spread_evenly():
    config = EvaluationConfig(key_intervals=(1, 10), offsets=3)
    assert config.offsets_of(MethodSpec(CAUSAL, 10)) == [0, 3, 6]
    assert config.offsets_of(MethodSpec(CAUSAL, 1)) == [0]
    assert EvaluationConfig().offsets_of(MethodSpec(CAUSAL, 5)) == [0, 1, 2, 3, 4]
    assert EvaluationConfig(triggers=("motion:0.1",)).offsets_of(
        MethodSpec(CAUSAL, trigger="motion:0.1")
    ) == [0]


def test_frames_without_labels_are_segmented_and_not_scored():
    config = EvaluationConfig(key_intervals=(1, 3))
    table = rows(Oracle(TRUTH), config, unlabelled=(0, 1, 2, 3, 5, 6))
    assert table[MethodSpec(CAUSAL, 3)].mean_iou == 1.0
    assert table[MethodSpec(CAUSAL, 3)].vc8 is None
    with pytest.raises(DcfmError, match="no pixel of these frames has a label"):
        rows(Oracle(TRUTH), config, unlabelled=tuple(range(7)))


# -- shared work -----------------------------------------------------------------------------------------------


def test_nothing_is_computed_twice():
    engine = Oracle(TRUTH)
    config = EvaluationConfig(key_intervals=(1, 2, 3), bidirectional=False, baselines=False)
    evaluate(engine, [video_of(TRUTH)], config)
    assert engine.calls["independent"] == engine.calls["common"] == 7
    # A frame is labelled with its own common feature and those of the one and two frames before, and, for a stream
    # starts with a key frame, frame 2 with frame 0's.
    assert engine.calls["label_map"] == 7 + 6 + 5


def test_sharing_changes_no_result():
    alone = {}
    for interval in (2, 3):
        config = EvaluationConfig(key_intervals=(interval,))
        alone.update(rows(Stubborn(TRUTH), config))
    together = rows(Stubborn(TRUTH), EvaluationConfig(key_intervals=(2, 3)))
    for spec, row in together.items():
        assert row.mean_iou == alone[spec].mean_iou and row.key_share == alone[spec].key_share


def test_features_out_of_reach_are_let_go():
    scene = Scene(Oracle(TRUTH), video_of(TRUTH), SIZE, reach=2)
    for index in range(7):
        scene.at(index)
        scene.mask_from(index)
    assert sorted(scene.engine._commons) == [4, 5, 6]


# -- optical flow ----------------------------------------------------------------------------------------------


def test_flow_looks_back():
    noise = np.random.default_rng(1).integers(0, 256, (80, 130, 3)).astype(np.uint8)
    noise = np.repeat(np.repeat(noise[:40, :65], 2, 0), 2, 1)
    before, current = noise[:, 4:124], noise[:, :120]
    flow = OpticalFlow((120, 80)).back(current, before)
    assert np.median(flow[..., 0]) == pytest.approx(-4, abs=0.3) and np.median(flow[..., 1]) == pytest.approx(
        0, abs=0.3
    )


def test_warp_takes_a_mask_along_and_repeats_the_edge():
    mask = np.arange(12, dtype=np.uint8).reshape(1, 12).repeat(4, 0)
    flow = np.zeros((4, 12, 2), np.float32)
    flow[..., 0] = -3
    assert warp(mask, flow)[0].tolist() == [0, 0, 0, *range(9)]
    # A flow measured at half the size is in its own pixels.
    half = np.full((2, 6, 2), (-1.5, 0), np.float32)
    assert warp(mask, half)[0].tolist() == [0, 0, 0, *range(9)]


@pytest.mark.parametrize(("hole", "expected"), [(13, 1.0), (6, None)])
def test_video_consistency_reaches_over_no_gap(hole, expected):
    truth = [np.zeros(SIZE[::-1], np.uint8)] * 13
    whole = video_of(truth)

    def load(index):
        frame = whole[index]
        return dataclasses.replace(frame, stamp_ns=frame.stamp_ns + (10**9 if index >= hole else 0))

    video = dataclasses.replace(whole, load=load)
    table = evaluate(Oracle(truth), [video], EvaluationConfig(key_intervals=(1,)))
    assert table[MethodSpec(CAUSAL, 1)].vc8 == expected


def test_masks_between_are_moved_and_counted():
    config = EvaluationConfig(
        key_intervals=(1, 6), independent_intervals=(3,), align="flow", bidirectional=False, baselines=False
    )
    assert config.independent_intervals == (1, 3)
    engine = Oracle(TRUTH)
    table = evaluate(engine, [video_of(TRUTH)], config)
    spec = MethodSpec(CAUSAL, 6, align="flow", independent_interval=3)
    assert table[spec].independent_interval == 3 and spec.own_share == pytest.approx(1 / 5)
    # The oracle does not move what it is asked to move: masks between are those of the frame before.
    assert table[spec].mean_iou < table[MethodSpec(CAUSAL, 6, align="flow")].mean_iou == 1.0
    assert engine.calls["move"] > 0


def test_masks_that_nothing_would_move_are_refused():
    config = EvaluationConfig(independent_intervals=(2,), align="none")
    with pytest.raises(DcfmError, match="independent_interval is 2"):
        config.for_model(ModelCard())


# -- cost and speed --------------------------------------------------------------------------------------------


def test_macs_of_a_convolution_by_hand():
    conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    x = torch.zeros(1, 3, 10, 12)
    with torch.inference_mode():
        assert counted(lambda: conv(x))[1] == 8 * 3 * 9 * 10 * 12


def test_cost_of_a_model():
    model = build_model(ModelConfig(num_classes=11))
    cost = model_cost(model, (128, 96))
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert 0 < cost.macs_fusion < cost.macs_other < cost.macs_key
    x = torch.zeros(1, 3, 96, 128)
    with torch.inference_mode():
        _, shallow = counted(lambda: model.encode_independent(x))
    assert cost.macs_other == shallow + cost.macs_fusion
    larger = model_cost(model, (256, 192))
    assert larger.macs_other == 4 * cost.macs_other and larger.parameters == cost.parameters
    # The model itself was only looked at.
    assert next(model.parameters()).device.type == "cpu"


def test_speed_is_measured_for_every_row_in_turns():
    specs = EvaluationConfig(key_intervals=(1, 3), align="flow").specs()
    speeds = measure_speed(Oracle(TRUTH), video_of(TRUTH), specs, SIZE, frames=9)
    assert list(speeds) == specs
    assert speeds[MethodSpec(CAUSAL, 1)].other_ms is None
    for spec in specs:
        assert speeds[spec].key_ms > 0 and (spec.key_interval == 1 or speeds[spec].other_ms > 0)
    copied = speeds[MethodSpec(COPIED, 3)]
    assert copied.key_ms == speeds[MethodSpec(CAUSAL, 1)].key_ms
    assert copied.mean_ms(0.5) == pytest.approx((copied.key_ms + copied.other_ms) / 2)


def test_a_copy_costs_a_key_frame_and_then_nothing():
    engine = Oracle(TRUTH)
    label = actor(engine, MethodSpec(COPIED, 3), SIZE, SIZE)
    kinds = [label(frame.rgb, frame.stamp_ns)[1] for frame in list(video_of(TRUTH))[:5]]
    assert kinds == [KEY, BORROWING, BORROWING, KEY, BORROWING]
    assert set(engine.calls.values()) == {2}


# -- data sets as videos ---------------------------------------------------------------------------------------


def test_labelled_frames_close_to_each_other_are_a_video(tmp_path):
    dataset = open_dataset("camvid", trees.camvid(tmp_path, "val", (10, 12, 14, 16, 40)), "val")
    video, alone = videos_of(dataset, reach=4)
    assert (video.fps, len(video), video.labelled) == (15.0, 4, 4)
    # A stamp of 0 would mean that there is none.
    stamps = [frame.stamp_ns - 1_000_000_000 for frame in video]
    assert stamps == [0, 66_666_667, 133_333_333, 200_000_000]
    assert (alone.fps, len(alone)) == (0.0, 1)


def test_a_labelled_frame_among_others_is_a_video_around_it(tmp_path):
    dataset = open_dataset("cityscapes", trees.cityscapes(tmp_path), "train")
    (video,) = videos_of(dataset, reach=4)
    assert (video.fps, len(video), video.labelled) == (17.0, 9, 1)
    assert [frame.label is None for frame in video] == [True] * 4 + [False] + [True] * 4
    assert [trees.brightness(frame.rgb) for frame in video] == list(range(15, 24))


def test_videos_are_kept_apart(tmp_path):
    dataset = open_dataset("vspw", trees.vspw(tmp_path), "train")
    assert [(video.fps, len(video)) for video in videos_of(dataset, reach=4)] == [(15.0, 3), (15.0, 2)]


def test_frames_far_apart_are_no_video(tmp_path):
    dataset = open_dataset("camvid", trees.camvid(tmp_path), "train")
    footage = open_footage(dataset, "camvid", "train", reach=4)
    assert not footage.is_video and footage.frames == 3
    assert "camvid train is not a video: its labelled frames lie too far apart" in footage.note


def test_a_frame_that_is_part_of_no_video_is_left_out_and_said_so(tmp_path):
    dataset = open_dataset("camvid", trees.camvid(tmp_path, "val", (10, 12, 14, 16, 40)), "val")
    footage = open_footage(dataset, "camvid", "val", reach=4)
    assert footage.is_video and footage.frames == 4
    assert footage.note == "camvid val: 1 labelled frame outside of any video, left out."


# -- what is asked for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"key_intervals": (0, 5)}, "key_intervals.0 is 0; expected a whole number of 1 or more"),
        ({"key_intervals": ()}, "key_intervals is empty"),
        ({"offsets": -1}, "offsets is -1; expected a whole number of 0 or more"),
        ({"speed_frames": 0}, "speed_frames is 0; expected a whole number of 1 or more"),
    ],
)
def test_wrong_settings_are_told(fields, message):
    with pytest.raises(DcfmError, match=message):
        EvaluationConfig(**fields)


def test_every_frame_is_always_among_the_rows():
    config = EvaluationConfig(key_intervals=(10, 5), triggers=("motion:0.1",)).for_model(ModelCard())
    assert config.key_intervals == (1, 5, 10)
    methods = [CAUSAL] * 4 + [BIDIRECTIONAL] * 2 + [COPIED] * 2 + [WARPED] * 2 + [WARPED_CHEAPLY] * 2
    assert [spec.method for spec in config.specs()] == methods
    assert config.for_stills().specs() == [MethodSpec(CAUSAL, 1)]


@pytest.mark.parametrize(
    ("asked", "card", "expected"),
    [("auto", "flow", "flow"), ("auto", "none", "none"), ("flow", "none", "flow"), ("none", "flow", "none")],
)
def test_where_alignment_means_flow_the_published_method_stands_beside_it(asked, card, expected):
    config = EvaluationConfig(key_intervals=(1, 5), triggers=("motion:0.1",), align=asked)
    specs = config.for_model(ModelCard(align=card)).specs()
    ours = [spec.align for spec in specs if spec.method == CAUSAL]
    # Per-frame segmentation has no feature to move.
    assert ours == ["none", expected, expected]
    published = [spec for spec in specs if spec.method == PUBLISHED]
    assert published == [MethodSpec(PUBLISHED, 5)] * (expected == "flow")
