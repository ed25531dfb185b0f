"""The contract of `step`: which common feature a frame's mask is made with, when it is refreshed, and what is told."""

from __future__ import annotations

import itertools
import logging
import math
import threading

import numpy as np
import pytest
from fake_engine import CARD, TIMEOUT_S, FakeEngine, frame, until, workers
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmentation import Pose
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.streams import MAX_STREAMS, Streams
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF

MS = 1_000_000
QUIET = OFF | {"max_age_ms": NEVER_MS, "agreement": False}
BACKGROUNDS = ("thread", "slices")


def inline(**fields) -> StreamConfig:
    return StreamConfig(mode="inline", **(QUIET | fields))


def background(way: str = "thread", **fields) -> StreamConfig:
    return StreamConfig(mode="background", background=way, **(QUIET | fields))


def segmented(config: StreamConfig, values, engine=None):
    """The results of frames of these values, 100 ms apart."""
    with StreamSegmenter(engine or FakeEngine(), config) as stream:
        return [stream.step(frame(value), (i + 1) * 100 * MS) for i, value in enumerate(values)]


# -- inline ------------------------------------------------------------------------------------------------------------


def test_masks_are_made_with_the_last_key_frame():
    results = segmented(inline(key_interval=3), range(8))
    assert [r.mask[0, 0] for r in results] == [0, 0, 0, 3, 3, 3, 6, 6]
    assert [r.key_frame for r in results] == [True, False, False] * 2 + [True, False]
    assert [r.age_frames for r in results] == [0, 1, 2] * 2 + [0, 1]
    assert [r.age_ms for r in results] == [0, 100, 200] * 2 + [0, 100]
    assert [r.key_stamp_ns // MS for r in results] == [100] * 3 + [400] * 3 + [700] * 2
    assert [r.trigger for r in results] == ["first", "", "", "interval", "", "", "interval", ""]
    assert [r.stamp_ns // MS for r in results] == list(range(100, 900, 100))


@given(values=st.lists(st.integers(0, 250), min_size=1, max_size=40), interval=st.integers(1, 12))
@settings(max_examples=60)
def test_inline_streams_are_deterministic_and_never_older_than_their_interval(values, interval):
    first, second = (segmented(inline(key_interval=interval), values) for _ in range(2))
    for i, (a, b) in enumerate(zip(first, second)):
        assert a.mask[0, 0] == b.mask[0, 0] == values[i - i % interval]
        assert a.key_frame == b.key_frame == (i % interval == 0)
        assert a.age_frames < interval


def test_the_size_of_the_mask_is_the_one_asked_for():
    for mask_size, expected in (("input", (24, 32)), ("network", (12, 16)), ((5, 7), (7, 5))):
        (result,) = segmented(inline(mask_size=mask_size), [1])
        assert result.mask.shape == expected and result.mask.dtype == np.uint8
    (result,) = segmented(inline(mask_size="network", input_size=(20, 10)), [1])
    assert result.mask.shape == (10, 20)


def test_the_network_sees_the_size_of_its_card_or_of_the_configuration():
    class Sizes(FakeEngine):
        def independent(self, rgb):
            seen.append(rgb.shape)
            return super().independent(rgb)

    seen: list[tuple[int, ...]] = []
    segmented(inline(), [1], Sizes())
    segmented(inline(input_size=(40, 30)), [1], Sizes())
    assert seen == [(*CARD.input_size[::-1], 3), (30, 40, 3)]


def test_confidence_only_where_it_is_asked_for():
    with StreamSegmenter(FakeEngine(), inline()) as stream:
        assert stream.step(frame(3), MS).confidence is None
        result = stream.step(frame(4), 2 * MS, confidence=True)
        assert result.confidence is not None and result.confidence[0, 0] == 4


def test_timing_adds_up():
    (result,) = segmented(inline(), [1])
    spent = result.timing
    parts = (spent.preprocess, spent.independent, spent.fuse, spent.label_map)
    assert all(part >= 0 for part in parts) and sum(parts) <= spent.total
    assert 0 <= spent.common <= spent.total, "an inline key frame waits for its common branch"


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [[1, 2, 3]],
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_anything_but_an_rgb_image_is_refused_and_changes_nothing(bad):
    with StreamSegmenter(FakeEngine(), inline(key_interval=3)) as stream:
        stream.step(frame(1), MS)
        with pytest.raises(DcfmError, match="uint8 H×W×3"):
            stream.step(bad, 2 * MS)
        result = stream.step(frame(2), 2 * MS)
        assert not result.key_frame and result.age_frames == 1


# -- the same frame again, jumps and resets ----------------------------------------------------------------------------


def test_a_frame_seen_twice_costs_nothing():
    engine = FakeEngine()
    with StreamSegmenter(engine, inline(key_interval=1)) as stream:
        first = stream.step(frame(1), 5 * MS)
        assert stream.step(frame(1), 5 * MS) is first
        assert engine.begun == [1]


def test_a_frame_seen_twice_gets_a_confidence_when_it_had_none():
    with StreamSegmenter(FakeEngine(), inline()) as stream:
        stream.step(frame(1), 5 * MS)
        assert stream.step(frame(1), 5 * MS, confidence=True).confidence is not None


def test_frames_without_a_stamp_are_all_different():
    engine = FakeEngine()
    with StreamSegmenter(engine, inline(key_interval=1)) as stream:
        results = [stream.step(frame(value), 0) for value in (1, 2, 3)]
    assert engine.begun == [1, 2, 3]
    assert [r.trigger for r in results] == ["first", "interval", "interval"], "and none is a jump back"


def test_a_jump_back_resets():
    with StreamSegmenter(FakeEngine(), inline()) as stream:
        stream.step(frame(1), 500 * MS)
        stream.step(frame(2), 600 * MS)
        result = stream.step(frame(3), 100 * MS)
        assert (result.trigger, result.key_frame, result.mask[0, 0]) == ("reset", True, 3)
        after = stream.step(frame(4), 200 * MS)
        assert (after.trigger, after.mask[0, 0], after.age_ms) == ("", 3, 100)


def test_a_new_image_size_resets_even_with_the_same_stamp():
    with StreamSegmenter(FakeEngine(), inline()) as stream:
        stream.step(frame(1), MS)
        result = stream.step(frame(2, size=(20, 10)), MS)
        assert result.trigger == "reset" and result.mask.shape == (10, 20) and result.mask[0, 0] == 2


def test_reset_and_refresh_on_request():
    with StreamSegmenter(FakeEngine(), inline()) as stream:
        stream.step(frame(1), 1 * MS)
        stream.request_refresh()
        assert stream.step(frame(2), 2 * MS).trigger == "service"
        assert stream.step(frame(3), 3 * MS).trigger == ""
        stream.request_refresh("button")
        assert stream.step(frame(4), 4 * MS).trigger == "button"
        stream.reset("because")
        result = stream.step(frame(5), 5 * MS)
        assert result.trigger == "reset" and result.mask[0, 0] == 5


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([-500, 0, 1, 2, 5]), st.sampled_from([(32, 24), (20, 10)])), max_size=30
    ),
    interval=st.integers(0, 4),
)
@settings(max_examples=60)
def test_no_mask_ever_comes_from_before_a_break(steps, interval):
    """Random walks through time and sizes: the common feature in use is never older than the last reset."""
    time_ns, first_value = 100_000 * MS, 0
    with StreamSegmenter(FakeEngine(), inline(key_interval=interval)) as stream:
        last, value = None, 0
        for number, (move, size) in enumerate(steps):
            time_ns += move * MS
            value = value if move == 0 else number
            result = stream.step(frame(value, size), time_ns)
            if last is None or move < 0 or size != last.size:
                assert result.key_frame and result.trigger == ("reset" if last else "first")
                first_value = value
            elif move == 0:
                assert result is last
            assert result.mask.shape == size[::-1]
            assert result.mask[0, 0] >= first_value
            last = result


def test_zero_is_a_stamp_and_none_is_none():
    with StreamSegmenter(FakeEngine(), inline()) as stream:
        results = [stream.step(frame(i), i * 20 * MS) for i in range(3)]
        assert [(r.stamp_ns, r.age_ms) for r in results] == [(0, 0), (20 * MS, 20), (40 * MS, 40)]
        assert stream.step(frame(0), None, arrival_ns=50 * MS).stamp_ns == 50 * MS


def test_another_picture_with_the_same_stamp_is_another_frame():
    """A clock that stands still, or stamps in whole seconds: time goes on as frames arrive."""
    with StreamSegmenter(FakeEngine(), inline(key_period_ms=90)) as stream:
        stamps = [(10 + i // 10) * 1000 * MS for i in range(21)]
        results = [
            stream.step(frame(i), stamp, arrival_ns=(7000 + 101 * i) * MS) for i, stamp in enumerate(stamps)
        ]
    assert [r.mask[0, 0] for r in results] == list(range(21))
    assert [r.stamp_ns for r in results] == stamps
    assert {r.trigger for r in results} == {"first", "time"}


def test_a_changed_picture_in_the_same_memory_is_seen():
    rgb = frame(1, CARD.input_size)  # the network's size: it sees the caller's memory
    with StreamSegmenter(FakeEngine(), inline(key_interval=1)) as stream:
        stream.step(rgb, MS)
        rgb[:] = 2
        assert stream.step(rgb, MS).mask[0, 0] == 2


def test_neighbours_that_change_places_do_not_reset(caplog):
    caplog.set_level(logging.INFO)
    order = [0, 2, 1, 3, 6, 4, 5, 7]
    with StreamSegmenter(FakeEngine(), inline(key_interval=0)) as stream:
        results = [stream.step(frame(i), (100 + 33 * i) * MS) for i in order]
    assert [r.trigger for r in results] == ["first"] + [""] * 7
    assert [r.age_ms for r in results] == [33 * newest for newest in (0, 2, 2, 3, 6, 6, 6, 7)]
    assert "reset" not in caplog.text


def test_a_clock_that_jumps_ahead_by_hours_begins_afresh():
    engine = FakeEngine()
    with StreamSegmenter(engine, StreamConfig(mode="background", background="thread")) as stream:
        stream.step(frame(1), 100 * MS)
        result = stream.step(frame(2), 3 * 3_600_000 * MS)
        assert (result.trigger, result.key_frame, result.mask[0, 0]) == ("reset", True, 2)


def test_resets_at_every_frame_are_told_now_and_then(caplog):
    caplog.set_level(logging.INFO)
    with StreamSegmenter(FakeEngine(), inline()) as stream:
        for i in range(50):
            stream.step(frame(1), (1000 - i % 2 * 900) * MS)
    assert caplog.text.count("stream reset") == 1


def test_each_camera_of_a_topic_has_a_stream_of_its_own():
    """Stereo with equal stamps, and a camera that alternates between two sizes: nobody borrows from another."""
    cameras = [("left", (32, 24)), ("right", (32, 24)), ("left", (20, 10))]
    with Streams(lambda: StreamSegmenter(FakeEngine(), inline())) as streams:
        for i in range(4):
            for number, (frame_id, size) in enumerate(cameras):
                value = 10 * number + i
                result = streams.step(frame(value, size), (1 + i) * 33 * MS, frame_id=frame_id)
                assert result.mask.shape == size[::-1] and result.mask[0, 0] == 10 * number
                assert result.trigger == ("" if i else "reset" if number else "first")


def test_frames_of_a_thousand_cameras_do_not_fill_memory(caplog):
    caplog.set_level(logging.INFO)
    made: list[StreamSegmenter] = []

    def make():
        made.append(StreamSegmenter(FakeEngine(), inline()))
        return made[-1]

    with Streams(make) as streams:
        for i in range(30):
            streams.step(frame(i), MS, frame_id=f"\x1b[31m{i}\n")
        with pytest.raises(DcfmError, match="closed"):
            made[0].step(frame(1), MS)
    assert caplog.text.count("reset") < MAX_STREAMS and "\x1b" not in caplog.text


# -- triggers in the stream --------------------------------------------------------------------------------------------


def test_a_pose_that_is_not_a_number_is_ignored():
    poses = [0.0, math.nan, 0.4, math.nan, 1.1, 1.2, math.inf, 2.3]
    with StreamSegmenter(FakeEngine(), inline(odometry_distance_m=1.0)) as stream:
        triggers = [
            stream.step(frame(1), (i + 1) * MS, odometry=Pose((x, 0, 0))).trigger for i, x in enumerate(poses)
        ]
    assert triggers == ["first", "", "", "", "odometry", "", "", "odometry"]


def test_motion_and_odometry_reach_their_triggers():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (24, 32, 3), np.uint8) for _ in range(2)]
    with StreamSegmenter(FakeEngine(), inline(motion_threshold=0.3)) as stream:
        assert math.isnan(stream.step(pictures[0], 1 * MS).motion)
        still = stream.step(pictures[0], 2 * MS)
        assert still.motion == pytest.approx(0, abs=1e-5) and not still.key_frame
        moved = stream.step(pictures[1], 3 * MS)
        assert moved.motion > 0.3 and moved.trigger == "motion" and moved.key_frame
    with StreamSegmenter(FakeEngine(), inline(odometry_distance_m=2.0)) as stream:
        triggers = [
            stream.step(frame(1), (i + 1) * MS, odometry=Pose((0.9 * i, 0, 0))).trigger for i in range(7)
        ]
        assert triggers == ["first", "", "", "odometry", "", "", "odometry"]


def test_max_age_is_always_on_and_older_masks_are_marked():
    results = segmented(inline(max_age_ms=250.0), range(7))
    assert [r.trigger for r in results] == ["first", "", "", "max_age", "", "", "max_age"]
    assert not any(r.stale for r in results)


def test_agreement_is_the_share_of_equal_labels_on_the_first_frame_that_uses_a_new_feature():
    class Half(FakeEngine):
        """The common feature's value, but in the upper half everything is class 1."""

        def label_map(self, logits, size, *, confidence=False):
            mask, probability = super().label_map(logits, size, confidence=confidence)
            mask[: len(mask) // 4] = 1
            return mask, probability

    # Of the network's 16×12 pixels, 4×3 are compared; none of the three rows is a full quarter.
    config = inline(key_interval=2, agreement=True, input_size=(64, 64))
    results = segmented(config, [5, 5, 7, 7, 7, 7], Half())
    expected = [math.nan, math.nan, 0.25, math.nan, 1.0, math.nan]
    assert [r.agreement for r in results] == pytest.approx(expected, nan_ok=True)


def test_disagreement_shortens_and_lengthens_the_period():
    class Restless(FakeEngine):
        changes = True

        def common(self, independent):
            return super().common(independent) if self.changes else 0

    engine = Restless()
    with StreamSegmenter(engine, inline(disagreement=0.1, max_age_ms=3000.0)) as stream:
        keys = []
        for i in range(40):
            engine.changes = i < 20
            if stream.step(frame(i), (i + 1) * 100 * MS).key_frame:
                keys.append(i)
    gaps = np.diff(keys)
    assert gaps[0] == 5 and min(gaps) == 1, (
        "from half a second down to every frame while every refresh changes all"
    )
    assert gaps[-1] > 1, "and up again when none changes anything"


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["inline", *BACKGROUNDS])
def test_a_failed_refresh_keeps_the_last_good_feature_counts_and_tells(way):
    engine, told = FakeEngine(), []
    with StreamSegmenter(
        engine, inline() if way == "inline" else background(way), on_error=told.append
    ) as stream:
        stamps = itertools.count(MS, MS)
        assert stream.step(frame(1), next(stamps)).mask[0, 0] == 1
        engine.fail_next = ValueError("out of order")
        stream.request_refresh()
        until(lambda: stream.step(frame(2), next(stamps)).errors == 1)
        result = stream.step(frame(2), next(stamps))
        until(lambda: len(told) == 1)
        assert isinstance(told[0], ValueError)
        assert (result.mask[0, 0], result.error) == (1, "ValueError: out of order")
        stream.request_refresh()
        until(lambda: stream.step(frame(3), next(stamps)).mask[0, 0] == 3)
        recovered = stream.step(frame(3), next(stamps))
        assert (recovered.errors, recovered.error) == (1, "")


def test_while_refreshes_fail_masks_go_on_and_are_stale_after_max_age():
    class Broken(FakeEngine):
        def common(self, independent):
            if self.begun:
                raise ValueError("broken")
            return super().common(independent)

    results = segmented(inline(max_age_ms=250.0), range(8), Broken())
    assert [r.mask[0, 0] for r in results] == [0] * 8
    assert [r.stale for r in results] == [False] * 3 + [True] * 5
    assert results[-1].errors == 2 and results[-1].error == "ValueError: broken"


@pytest.mark.parametrize("way", ["inline", *BACKGROUNDS])
def test_a_first_frame_that_fails_says_why_and_the_next_one_tries_again(way):
    engine = FakeEngine()
    engine.fail_next = ValueError("no memory")
    with StreamSegmenter(engine, inline() if way == "inline" else background(way)) as stream:
        with pytest.raises(DcfmError, match="no common feature: ValueError: no memory"):
            stream.step(frame(1), MS)
        result = stream.step(frame(2), 2 * MS)
        assert result.key_frame and result.trigger == "first" and result.errors == 1 and result.error == ""


@pytest.mark.parametrize("way", ["inline", *BACKGROUNDS])
def test_an_error_handler_that_fails_does_not_end_the_stream(way, caplog):
    engine = FakeEngine()

    def handler(error):
        raise RuntimeError("the log is full")

    config = inline(key_interval=1) if way == "inline" else background(way, key_interval=1)
    with StreamSegmenter(engine, config, on_error=handler) as stream:
        stamps = itertools.count(MS, MS)
        stream.step(frame(1), next(stamps))
        engine.fail_next = ValueError("out of order")
        until(lambda: stream.step(frame(2), next(stamps)).errors == 1)
        until(lambda: stream.step(frame(3), next(stamps)).mask[0, 0] == 3)
    assert "on_error itself failed" in caplog.text


# -- background --------------------------------------------------------------------------------------------------------


def test_no_frame_but_the_first_waits_for_a_key_frame():
    engine = FakeEngine()
    with StreamSegmenter(engine, background(key_interval=4)) as stream:
        assert stream.step(frame(0), MS).key_frame, "the first one waits"
        engine.hold.clear()
        results = [stream.step(frame(i), (i + 1) * MS) for i in range(1, 5)]
        until(lambda: engine.begun == [0, 4])
        results += [stream.step(frame(i), (i + 1) * MS) for i in range(5, 31)]
        # All of them came back while the common branch of frame 4 was stuck: nothing set `hold`.
        assert not engine.hold.is_set()
        assert [r.mask[0, 0] for r in results] == [0] * 30
        assert [r.age_frames for r in results] == list(range(1, 31))
        engine.hold.set()
        until(lambda: engine.begun == [0, 4, 30])  # of the requests that waited, the newest won
        numbers = itertools.count(31)
        until(
            lambda: (
                results.append(stream.step(frame(i := next(numbers)), (i + 1) * MS))
                or results[-1].mask[0, 0] == 30
            )
        )
        assert (results[-1].key_frame, results[-1].age_frames) == (False, len(results) - 30)


def test_the_first_frame_of_every_era_waits_on_its_own_thread():
    engine = FakeEngine()
    with StreamSegmenter(engine, background()) as stream:
        stream.step(frame(1), 500 * MS)
        assert stream.step(frame(2), 100 * MS).key_frame
    assert engine.threads == [threading.current_thread().name] * 2


def test_a_feature_from_before_a_reset_is_never_used():
    engine = FakeEngine()
    with StreamSegmenter(engine, background()) as stream:
        stream.step(frame(1), 500 * MS)
        engine.hold.clear()
        stream.request_refresh()
        stream.step(frame(2), 501 * MS)
        until(lambda: engine.begun == [1, 2])
        threading.Timer(0.0, engine.hold.set).start()  # the reset frame waits for its own common branch
        assert stream.step(frame(3), 100 * MS).mask[0, 0] == 3
        stream.request_refresh()
        stamps, seen = itertools.count(101 * MS, MS), []
        until(lambda: seen.append(stream.step(frame(4), next(stamps)).mask[0, 0]) or seen[-1] == 4)
        assert set(seen) <= {3, 4} and engine.ended.index(2) < engine.ended.index(4)


def test_agreement_reaches_the_frame_that_first_uses_the_feature():
    engine = FakeEngine()
    with StreamSegmenter(engine, background(key_interval=2, agreement=True)) as stream:
        stamps = itertools.count(MS, MS)
        results = [stream.step(frame(7), next(stamps))]
        until(
            lambda: (
                results.append(stream.step(frame(7), next(stamps)))
                or results[-1].age_frames < len(results) - 1
            )
        )
    measured = [r.agreement for r in results if not math.isnan(r.agreement)]
    assert measured == [1.0] and results[-1].agreement == 1.0


# -- closing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", BACKGROUNDS)
def test_closing_does_not_wait_for_the_common_branch_in_work(way):
    engine = FakeEngine()
    stream = StreamSegmenter(engine, background(way, key_interval=1))
    stream.step(frame(1), MS)
    engine.hold.clear()
    stream.step(frame(2), 2 * MS)
    until(lambda: engine.begun == [1, 2])
    stream.close()
    assert engine.ended == [1], "that of frame 2 is held still"
    engine.hold.set()
    stream.close()
    with pytest.raises(DcfmError, match="closed"):
        stream.step(frame(3), 3 * MS)
    until(lambda: not workers())


def test_closing_from_another_thread_ends_a_first_frame_with_a_word():
    engine = FakeEngine()
    stream = StreamSegmenter(engine, background())
    engine.hold.clear()
    said: list[str] = []

    def first():
        try:
            stream.step(frame(1), MS)
        except DcfmError as error:
            said.append(str(error))

    thread = threading.Thread(target=first)
    thread.start()
    until(lambda: engine.begun == [1])
    stream.close()
    engine.hold.set()
    thread.join(TIMEOUT_S)
    assert said == ["the first frame has no common feature: the stream was closed"]


def test_worker_threads_end_with_their_streams():
    for way in BACKGROUNDS:
        with StreamSegmenter(FakeEngine(), background(way)) as stream:
            stream.step(frame(1), MS)
            assert len(workers()) == 1
        until(lambda: not workers())
