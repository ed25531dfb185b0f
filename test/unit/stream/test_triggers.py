"""Each trigger alone and all together; what motion sees and what it does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model, normalise
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.motion import change, structure
from dcfm_ros.stream.preprocess import preprocess
from dcfm_ros.stream.segmentation import Pose
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF
from dcfm_ros.stream.triggers import Observation, Triggers, angle_between, every_frames, every_ms

MS = 1_000_000
BLANK = np.zeros((12, 16, 3), np.uint8)
QUIET = OFF | {"max_age_ms": NEVER_MS}


def seen(index: int, ms: float = 0.0, odometry: Pose | None = None) -> Observation:
    return Observation(index, round(ms * MS), BLANK, odometry)


def refreshes(trigger, observations) -> list[int]:
    found = []
    for observation in observations:
        if observation.index == 0 or trigger.fires(observation):
            trigger.refreshed(observation)
            found.append(observation.index)
    return found


@given(frames=st.integers(1, 20), phase=st.floats(0, 1))
def test_interval_with_any_phase_is_regular_after_a_first_that_comes_no_later(frames, phase):
    gaps = np.diff(refreshes(every_frames(frames, phase), [seen(i) for i in range(100)]))
    assert 1 <= gaps[0] <= frames and set(gaps[1:]) <= {frames}


@given(
    period=st.integers(1, 50),
    steps=st.lists(st.integers(0, 30), min_size=1, max_size=60),
    begin=st.sampled_from([0, 1_782_000_000_123]),  # since 1970: in nanoseconds more than a float tells apart
)
def test_period_counts_message_time_and_is_neither_early_nor_late(period, steps, begin):
    times = [begin, *(begin + np.cumsum(steps)).tolist()]
    found = refreshes(every_ms(period), [seen(i, t) for i, t in enumerate(times)])
    assert all(times[b] - times[a] >= period for a, b in zip(found, found[1:]))
    for i in range(len(times)):
        last = max(index for index in found if index <= i)
        assert times[i] - times[last] < period


def test_odometry_by_distance_or_angle_and_not_without_a_pose():
    triggers = Triggers(StreamConfig(**(QUIET | {"odometry_distance_m": 1.0, "odometry_angle_deg": 10.0})))
    triggers.refreshed(seen(0))
    assert triggers.cause(seen(1)) == ""
    assert triggers.cause(seen(2, odometry=Pose((5.0, 0, 0)))) == "", (
        "the first pose stands in for the key frame's"
    )
    assert triggers.cause(seen(3, odometry=Pose((5.9, 0, 0)))) == ""
    assert triggers.cause(seen(4, odometry=Pose((6.1, 0, 0)))) == "odometry"
    half = math.radians(11) / 2
    turned = Pose((5.0, 0, 0), (0, 0, math.sin(half), math.cos(half)))
    assert triggers.cause(seen(5, odometry=turned)) == "odometry"


@given(degrees=st.floats(0, 180), scale=st.floats(0.1, 10))
def test_angles_do_not_depend_on_the_length_or_the_sign_of_quaternions(degrees, scale):
    half = math.radians(degrees) / 2
    turned = Pose((0, 0, 0), tuple(-scale * x for x in (0, math.sin(half), 0, math.cos(half))))
    assert math.degrees(angle_between(Pose((0, 0, 0)), turned)) == pytest.approx(degrees, abs=1e-4)


@given(st.sets(st.sampled_from(["interval", "time", "max_age"]), min_size=1))
def test_triggers_combine_and_the_first_gives_the_reason(on):
    fields = dict(QUIET)
    for name, field in (("interval", "key_interval"), ("time", "key_period_ms"), ("max_age", "max_age_ms")):
        if name in on:
            fields[field] = 5 if name == "interval" else 50.0
    triggers = Triggers(StreamConfig(**fields))
    triggers.refreshed(seen(0, 0))
    assert [triggers.cause(seen(i, 10 * i)) for i in range(1, 5)] == [""] * 4
    assert triggers.cause(seen(5, 50)) == next(name for name in ("interval", "time", "max_age") if name in on)


@given(gain=st.floats(0.6, 1.2), offset=st.integers(-15, 15), seed=st.integers(0, 5))
@settings(max_examples=25)
def test_motion_is_blind_to_exposure_and_noise_but_not_to_another_picture(gain, offset, seed):
    rng = np.random.default_rng(seed)
    coarse = [rng.integers(60, 180, (12, 16, 3)).astype(np.uint8) for _ in range(2)]
    one, other = (np.kron(c, np.ones((20, 20, 1))).astype(np.float64) for c in coarse)
    same = np.clip(one * gain + offset + rng.normal(0, 5, one.shape), 0, 255).astype(np.uint8)
    key = structure(one.astype(np.uint8))
    assert change(key, structure(same)) < 0.05
    assert change(key, structure(other.astype(np.uint8))) > 0.4
    assert change(structure(np.zeros_like(same)), structure(np.zeros_like(same))) == 0


@given(width=st.integers(1, 40), height=st.integers(1, 40), flip=st.booleans())
def test_preprocess_gives_the_size_from_any_strides(width, height, flip):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 6), np.uint8)[:, :: -1 if flip else 1, :3]
    small = preprocess(rgb, (width, height))
    assert small.shape == (height, width, 3) and small.dtype == np.uint8
    np.testing.assert_array_equal(small, preprocess(np.ascontiguousarray(rgb), (width, height)))


@pytest.mark.parametrize("backbone", ["mit_b0", "resnet18", "mobilenetv2"])
def test_batch_and_stream_agree(backbone):
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone=backbone))
    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 96, 3), np.uint8)
    with torch.inference_mode():
        independent = model.encode_independent(
            normalise(torch.from_numpy(frames).permute(0, 3, 1, 2), model.card)
        )
        common = model.encode_common(None, independent[[0, 0, 2, 2]])
        logits = F.interpolate(model.classify(model.fused(common, independent)), (64, 96), mode="bilinear")
    expected = logits.argmax(1).numpy()
    config = StreamConfig(
        mode="inline", input_size=(96, 64), agreement=False, **(QUIET | {"key_interval": 2})
    )
    engine = create_engine(model, EngineConfig(engine="torch", device="cpu"))
    with StreamSegmenter(engine, config) as stream:
        masks = [stream.step(frame, (i + 1) * MS).mask for i, frame in enumerate(frames)]
    assert np.mean(np.stack(masks) == expected) >= 0.9999
