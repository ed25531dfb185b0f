"""Simulated real time with made-up durations: who is dropped, who is served, and when a common branch is done."""

import math

import numpy as np
import pytest
from fakes import FakeEngine, ManualClock
from hypothesis import given
from hypothesis import strategies as st

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.source import Frame
from dcfm_ros.replay.clocks import RobotClock, arrivals
from dcfm_ros.replay.simulation import SimulatedInbox, SimulatedSlices
from dcfm_ros.stream import common_feature as common
from dcfm_ros.stream.config import StreamConfig

PERIOD = 100.0


def frames(count, period_ms=PERIOD, decode_ms=0.0):
    for index in range(count):
        rgb = np.full((48, 64, 3), 40 * index % 256, np.uint8)
        rgb[..., index % 3] = 255
        stamp = 10**9 + round(index * period_ms * 1e6)
        yield Frame(rgb, stamp, stamp, "camera", str(index), decode_ms)


def play(engine, clock, source, **config):
    settings = {"mode": "background", "key_period_ms": 0, "motion_threshold": 0, "agreement": False} | config
    robot = RobotClock(clock)
    with robot.stream(engine, StreamConfig(**settings)) as stream:
        return list(robot.play(source, stream, confidence=False))


def served(inbox, arrivals, work_ms):
    """(value, begin) of those whose turn came, and the values that were dropped."""
    done, dropped = [], []
    for value, _, began_ms in inbox.turns(iter(arrivals)):
        if began_ms is None:
            dropped.append(value)
        else:
            done.append((value, began_ms))
            inbox.free_ms = began_ms + work_ms[value]
    return done, dropped


def test_a_slow_worker_gets_the_newest_frame():
    # Work takes 250 ms, frames come every 100 ms: while frame 0 is at work 1 gives way to 2. At 500 ms the worker takes
    # frame 4, which waits, before frame 5 comes in.
    arrivals = [(index, 100.0 * index) for index in range(7)]
    done, dropped = served(SimulatedInbox(), arrivals, [250.0] * 7)
    assert done == [(0, 0.0), (2, 250.0), (4, 500.0), (6, 750.0)]
    assert dropped == [1, 3, 5]


def test_a_deeper_queue_drops_the_oldest():
    arrivals = [(index, 10.0 * index) for index in range(6)]
    done, dropped = served(SimulatedInbox(2), arrivals, [100.0] * 6)
    assert dropped == [1, 2, 3]
    assert done == [(0, 0.0), (4, 100.0), (5, 200.0)]


@given(
    gaps=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    work=st.lists(st.integers(1, 120), min_size=30, max_size=30),
)
def test_the_queue_does_what_stepping_through_every_millisecond_does(gaps, work):
    times = np.cumsum(gaps).tolist()
    arrivals = [(index, float(time)) for index, time in enumerate(times)]
    done, dropped = served(SimulatedInbox(), arrivals, work)
    # The same, millisecond by millisecond: the worker looks at the queue before the next frame comes in.
    waiting, free_at, wanted, lost = None, 0, [], []
    for now in range(sum(gaps) + sum(work) + 2):
        if waiting is not None and free_at <= now:
            wanted.append((waiting, float(now)))
            free_at, waiting = now + work[waiting], None
        if now in times:
            if waiting is not None:
                lost.append(waiting)
            waiting = times.index(now)
            if free_at <= now:
                wanted.append((waiting, float(now)))
                free_at, waiting = now + work[waiting], None
    assert (done, dropped) == (wanted, lost)
    assert sorted([value for value, _ in done] + dropped) == list(range(len(gaps)))


def test_frames_are_dropped_and_late_as_durations_say():
    clock = ManualClock()
    engine = FakeEngine(clock, independent=100, logits=20, label_map=30)
    played = play(engine, clock, frames(6), mode="inline", key_interval=100)
    assert [index for index, entry in enumerate(by_name(played)) if entry.result is None] == [3]
    # 150 ms each: frame 1 waits 50 ms, frame 2 100 ms; frame 3 gives way to 4, which begins when 2 is done at 450 ms.
    assert latencies_of(by_name(played)) == pytest.approx([150, 200, 250, math.nan, 200, 250], nan_ok=True)


def latencies_of(played):
    return [entry.done_ms - entry.came_ms for entry in played]


def keys_of(played):
    """Of every frame the number of the one whose common feature it uses."""
    return [int(entry.result.key_stamp_ns - 10**9) // 10**8 for entry in played]


def by_name(played):
    return sorted(played, key=lambda entry: int(entry.frame.name))


def test_decoding_counts():
    clock = ManualClock()
    played = play(FakeEngine(clock, independent=10), clock, frames(2, decode_ms=7.0), mode="inline")
    assert latencies_of(played) == pytest.approx([17, 17])


def test_common_branch_in_the_background_is_done_after_its_duration():
    clock = ManualClock()
    engine = FakeEngine(clock, independent=10, common=[0, 0, 50, 250, 250, 250])  # two to warm up
    played = play(engine, clock, frames(10), key_interval=3, background="thread")
    results = [entry.result for entry in played]
    # The first frame waits for its own common branch; the others never do.
    assert latencies_of(played) == pytest.approx([60] + [10] * 9)
    # Asked for at frame 3 (at 310 ms), done 250 ms later: frame 5 (at its end 510 ms) still borrows from 0, 6 from 3.
    assert keys_of(played) == [0, 0, 0, 0, 0, 0, 3, 3, 3, 6]
    assert [result.trigger for result in results] == ["first", "", "", "interval"] + ["", "", "interval"] * 2


def test_inline_frames_wait_for_their_common_branch():
    clock = ManualClock()
    engine = FakeEngine(clock, independent=10, common=60)
    played = play(engine, clock, frames(4), mode="inline", key_interval=2)
    assert latencies_of(played) == pytest.approx([70, 10, 70, 10])


def test_of_the_requests_that_wait_the_newest_wins():
    clock = ManualClock()
    # 350 ms each and a refresh asked for at every frame: while one is at work, the frames after it wait for its end.
    engine = FakeEngine(clock, independent=10, common=[0, 0, 0, 350, 350, 350, 350])
    played = play(engine, clock, frames(9), key_interval=1, background="thread")
    # Begun at 110 ms (frame 1), done at 460; the newest waiting then is frame 4; done at 810, so frame 8 uses it.
    assert keys_of(played) == [0, 0, 0, 0, 0, 1, 1, 1, 4]


def test_the_first_frame_after_a_reset_does_not_wait_for_the_key_frame_in_work():
    clock = ManualClock()
    engine = FakeEngine(clock, independent=10, common=[0, 0, 50, 250, 60, 0])  # two to warm up
    # Frame 2 asks for a key frame, done at 460 ms. The recording begins again at 300 ms, and the stream with it.
    played = play(engine, clock, [*frames(3), *frames(3)], key_interval=2, background="thread")
    assert [entry.result.trigger for entry in played] == ["first", "", "interval", "reset", "", "interval"]
    assert latencies_of(played) == pytest.approx([60, 10, 10, 70, 10, 10])
    assert keys_of(played) == [0, 0, 0, 0, 0, 2]


def test_failures_of_the_common_branch_are_counted_and_survived():
    clock = ManualClock()
    engine = FakeEngine(clock, independent=10)
    sound, calls = engine.common, []

    def fragile(independent):
        calls.append(1)
        if len(calls) == 4:  # two to warm up, then the first frame
            raise RuntimeError("out of memory")
        return sound(independent)

    engine.common = fragile
    played = play(engine, clock, frames(6), key_interval=2, background="thread")
    assert [entry.result.errors for entry in played] == [0, 0, 1, 1, 1, 1]
    assert "out of memory" in played[2].result.error and not played[5].result.error
    engine.common = lambda independent: 1 / 0
    with pytest.raises(DcfmError, match="no common feature"):
        play(engine, clock, frames(1))


@pytest.mark.parametrize("background", ["thread", "slices"])
def test_the_same_durations_give_the_same_outcome(background):
    settings = {"key_interval": 4, "background": background, "slices": 3}

    def run():
        clock = ManualClock()
        engine = FakeEngine(clock, independent=35, common=170, logits=10, label_map=15)
        return [
            (entry.frame.name, str(entry.done_ms), entry.result and entry.result.mask.tobytes())
            for entry in play(engine, clock, frames(40, period_ms=50), **settings)
        ]

    assert run() == run()


def test_stamps_that_jump_back_go_on_after_the_usual_distance():
    source = list(frames(3, period_ms=40))
    times = [time for _, time in arrivals(iter([*source, *source]))]
    assert times == pytest.approx([0, 40, 80, 120, 160, 200])


@pytest.mark.parametrize("begin_s", [1.0, 1.85])
def test_stamps_in_whole_seconds_come_as_they_were_recorded(begin_s):
    times_ns = [round((begin_s + 0.1 * index) * 1e9) for index in range(40)]
    rgb = np.zeros((8, 8, 3), np.uint8)
    source = [Frame(rgb, at // 10**9 * 10**9, at, "camera", "") for at in times_ns]
    times = [time for _, time in arrivals(iter(source))]
    assert times == pytest.approx([100.0 * index for index in range(40)])


def test_the_first_common_feature_has_all_cores_and_the_others_some():
    clock = ManualClock()
    engine, beside = (
        FakeEngine(clock, independent=10, common=20),
        FakeEngine(clock, independent=10, common=150),
    )
    asked = []
    engine.background = lambda threads: asked.append(threads) or beside
    played = play(engine, clock, frames(5), key_interval=2, background_threads=3, background="thread")
    assert set(asked) == {3}
    assert played[0].done_ms == pytest.approx(30)
    # Asked for at frame 2 (210 ms), done at 360 ms: frame 4 (ends at 410) borrows from it, frame 3 does not.
    assert keys_of(played) == [0, 0, 0, 0, 2]


def test_slices_of_a_common_branch_take_turns_with_the_frames():
    clock = ManualClock()
    engine = FakeEngine(clock, independent=10, common=90)
    played = play(engine, clock, frames(10), key_interval=3, background="slices", slices=3)
    # The first frame waits for its own; from then on 30 ms of it follow a frame's 10 ms, and no frame waits.
    assert latencies_of(played) == pytest.approx([100] + [10] * 9)
    # Asked for at frame 3, computed after the frames 3, 4 and 5.
    assert keys_of(played) == [0, 0, 0, 0, 0, 0, 3, 3, 3, 6]
    assert [entry.result.age_frames for entry in played] == [0, 1, 2, 3, 4, 5, 3, 4, 5, 3]


def test_a_frame_waits_for_the_slice_in_work():
    clock = ManualClock()
    # To warm up, for the first frame, to try the cuts; and then what is measured.
    engine = FakeEngine(clock, independent=50, common=[0, 0, 0, 160, 160])
    played = play(engine, clock, frames(7), key_interval=3, background="slices", slices=2)
    # Frame 3 is done at 350 ms, a slice until 430: 30 ms too long for frame 4, which is done at 480; the next slice is
    # done at 560, 60 ms too late for frame 5, which uses what they came to; frame 6 comes while 5 is in work, until 610.
    assert latencies_of(played) == pytest.approx([50, 50, 50, 50, 80, 110, 60])
    assert keys_of(played) == [0, 0, 0, 0, 0, 3, 3]


def test_agreement_is_a_slice_of_its_own():
    clock = ManualClock()
    engine = FakeEngine(clock, independent=10, common=20)
    settings = {"key_interval": 3, "background": "slices", "slices": 2, "agreement": True}
    played = play(engine, clock, frames(8), **settings)
    assert keys_of(played) == [0, 0, 0, 0, 0, 0, 3, 3]
    measured = [entry.result.agreement for entry in played]
    assert not math.isnan(measured[6]) and all(math.isnan(value) for value in measured[:6] + measured[7:])


def test_the_default_on_a_cpu_is_slices():
    for device, wanted in (("cpu", 0), ("cuda", 3)):
        clock = ManualClock()
        engine = FakeEngine(clock, independent=10, common=20)
        engine.device, asked = device, []
        engine.background = lambda threads, engine=engine, asked=asked: asked.append(threads) or engine
        played = play(engine, clock, frames(6), key_interval=3, background_threads=3, slices=2)
        assert set(asked) == ({wanted} if wanted else set())
        assert keys_of(played) == ([0, 0, 0, 0, 0, 3] if device == "cpu" else [0, 0, 0, 0, 3, 3])


any_load = given(
    period=st.integers(20, 200),
    work=st.integers(1, 250),
    common=st.integers(0, 600),
    pieces=st.integers(1, 8),
    interval=st.integers(1, 6),
)


@any_load
def test_a_frame_waits_for_one_slice_at_most(period, work, common, pieces, interval):
    clock = ManualClock()
    engine = FakeEngine(clock, independent=work, common=common)
    settings = {"key_interval": interval, "background": "slices", "slices": pieces}
    resume, slices_ms = SimulatedSlices.resume, []

    def measured(worker):
        began = clock()
        resume(worker)
        slices_ms.append(1e3 * (clock() - began))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedSlices, "resume", measured)
        played = [e for e in by_name(play(engine, clock, frames(20, period), **settings)) if e.result]
    # Of every frame, how long the slice after it takes.
    assert all(min(ms, abs(ms - common / pieces)) < 1e-6 for ms in slices_ms)
    for before, slice_ms, entry in zip(played, slices_ms, played[1:]):
        began_ms = max(before.done_ms, entry.came_ms)
        left = max(0.0, before.done_ms + slice_ms - began_ms)
        assert entry.done_ms - began_ms - work == pytest.approx(left, abs=1e-6)
    if work + common <= period:
        assert len(played) == 20


@any_load
def test_slices_never_lose_fewer_frames_than_a_thread_on_cores_of_its_own(
    period, work, common, pieces, interval
):
    """As `thread` is simulated: it takes nothing from the frames, whatever it does."""

    def lost(**settings):
        clock = ManualClock()
        engine = FakeEngine(clock, independent=work, common=common)
        played = play(engine, clock, frames(30, period), key_interval=interval, **settings)
        return sum(entry.result is None for entry in played)

    assert lost(background="slices", slices=pieces) >= lost(background="thread")


def test_as_many_slices_as_fit_between_two_frames(monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(common, "Stopwatch", lambda: Lap(clock))
    engine = FakeEngine(clock, independent=10, common=300)
    played = play(engine, clock, frames(30), key_interval=1, background="slices")[-12:]
    # 90 ms are spare, of which 54 are meant to be filled: six slices, so every sixth frame has a new common feature.
    keys = keys_of(played)
    assert [keys[at] - keys[at - 6] for at in range(6, 12)] == [6] * 6
    assert latencies_of(played) == pytest.approx([10] * 12)


class Lap:
    """A stopwatch that goes by a clock made by hand."""

    def __init__(self, clock):
        self._clock, self._begin = clock, clock()

    def lap(self):
        return 1e3 * (self._clock() - self._begin)
