"""Each way to run the common branch: the same features, the same manners."""

from __future__ import annotations

import itertools
import os
import threading

import numpy as np
import pytest
import torch
from fake_engine import FakeEngine, frame, until

from dcfm_ros.config import usable_cores
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.stream import background, priority, workers
from dcfm_ros.stream.background import BackgroundWorker
from dcfm_ros.stream.common_feature import CommonBranch, KeyFrame
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.spare_time import MOST_PIECES, SpareTime
from dcfm_ros.stream.workers import create_worker

MS = 1_000_000
QUIET = {"key_period_ms": 0.0, "motion_threshold": 0.0, "max_age_ms": 1e9, "agreement": False}


def config(way: str, **fields) -> StreamConfig:
    return StreamConfig(background=way, **(QUIET | fields))


def key(index: int, independent) -> KeyFrame:
    return KeyFrame(index, index * MS, index * MS, (16, 12), independent)


@pytest.fixture(autouse=True)
def at_normal_priority(monkeypatch):
    """What idles would wait for as long as other tests keep the cores busy."""
    monkeypatch.setattr(background, "lower_priority", lambda: "")


# -- the same features -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", ["mit_b0", "resnet18", "mobilenetv2"])
@pytest.mark.parametrize("way", ["thread", "slices"])
def test_all_ways_give_identical_features(backbone, way):
    torch.manual_seed(0)
    engine = create_engine(
        build_model(ModelConfig(backbone=backbone)), EngineConfig(engine="torch", device="cpu")
    )
    rng = np.random.default_rng(0)
    independents = [engine.independent(rng.integers(0, 256, (64, 96, 3), np.uint8)) for _ in range(2)]
    # A thread more or less changes the order of sums, and so the last bit; the way to run it changes nothing.
    at_once, beside = engine.common(independents[0]), engine if way == "slices" else engine.background(1)
    expected = beside.common(independents[1])
    worker = create_worker(engine, config(way, slices=5, background_threads=1, agreement=True), None)
    try:
        worker.submit(key(0, independents[0]))
        assert torch.equal(worker.wait().feature, at_once)
        worker.submit(key(1, independents[1]))
        until(lambda: worker.resume() or worker.newest.index == 1 or worker.errors)
        assert worker.error is None
        assert torch.equal(worker.newest.feature, expected)
        assert 0 <= worker.newest.agreement <= 1 and worker.newest.elapsed_ms == 1
        assert worker.newest.common_ms > 0
    finally:
        worker.close()


# -- a machine that is never idle --------------------------------------------------------------------------------------


def test_what_is_overdue_does_not_wait_for_an_idle_thread():
    at_once, starved = FakeEngine(), FakeEngine()
    starved.hold.clear()
    settings = config("thread")
    whole, beside = CommonBranch(at_once, settings), CommonBranch(starved, settings)
    worker = BackgroundWorker(whole, None, beside, idle=True, overdue_ms=5.0)
    try:
        worker.submit(key(0, 10))
        worker.submit(key(1, 11))
        until(lambda: starved.begun == [11])
        worker.submit(key(5, 15))
        assert worker.waiting and at_once.begun == [10], "not overdue yet: it waits for the idle thread"
        worker.submit(key(6, 16))
        until(lambda: worker.newest.index == 6)
        assert at_once.begun == [10, 16]
        starved.hold.set()
        until(lambda: not worker.waiting)
        worker.submit(key(7, 17))
        until(lambda: worker.newest.index == 7)
        assert starved.begun[-1] == 17, "the idle thread is back"
    finally:
        starved.hold.set()
        worker.close()


def test_an_older_result_never_replaces_a_newer_one():
    branch = CommonBranch(FakeEngine(), config("thread"))
    worker = BackgroundWorker(branch, None, branch, idle=False)
    try:
        worker.submit(key(6, 16))
        worker._refresh(key(2, 12), worker._era, branch)
        assert worker.newest.index == 6
        worker._refresh(key(7, 17), worker._era, branch)
        assert worker.newest.index == 7
    finally:
        worker.close()


# -- slices ------------------------------------------------------------------------------------------------------------


def test_a_piece_runs_after_each_frame_and_never_during_one():
    class Watches(FakeEngine):
        in_frame = False

        def common_slices(self, independent, pieces):
            for _ in range(pieces):
                assert not self.in_frame
                done.append(independent)
                yield
            return independent

        def independent(self, rgb):
            self.in_frame = True
            return super().independent(rgb)

        def label_map(self, logits, size, *, confidence=False):
            self.in_frame = False
            return super().label_map(logits, size, confidence=confidence)

    done: list[int] = []
    results = []
    with StreamSegmenter(Watches(), config("slices", key_interval=3, slices=3)) as stream:
        for i in range(1, 8):
            results.append(stream.step(frame(i), i * MS))
            # As long as there is work, each frame is followed by one more piece.
            if i in (4, 5, 6):
                until(lambda: len(done) == results[-1].stamp_ns // MS - 3)
            if i == 7:
                until(lambda: stream._worker.newest.index == 3)
    assert done[:3] == [4, 4, 4], "the frame of the refresh, in three pieces"
    assert [r.mask[0, 0] for r in results] == [1] * 7 and results[-1].errors == 0


def test_frames_wait_for_the_piece_in_work_but_for_no_more():
    engine = FakeEngine()
    worker = create_worker(engine, config("slices", slices=2), None)
    worker.submit(key(0, 1))
    engine.hold.clear()
    worker.pause()
    worker.submit(key(1, 2))
    assert engine.begun == [1], "not while the frame is worked on"
    worker.resume()
    until(lambda: engine.begun == [1, 2])
    paused = threading.Event()
    thread = threading.Thread(target=lambda: (worker.pause(), paused.set()))
    thread.start()
    assert not paused.is_set(), "a piece is in work"
    engine.hold.set()
    assert paused.wait(10)
    assert worker.newest.index == 0, "the second piece has its turn after the frame"
    worker.resume()
    until(lambda: worker.newest.index == 1)
    worker.close()


class TwoCameras:
    """Slices of two streams on one engine; the first one's common branch begins, and waits for its turn."""

    def __init__(self):
        self.engine = FakeEngine()
        self.first, self.second = (
            create_worker(self.engine, config("slices", slices=2), None) for _ in range(2)
        )
        for worker in (self.first, self.second):
            worker.submit(key(0, 1))
        self.begun = len(self.engine.begun)
        with self.first.frame():
            self.first.submit(key(1, 2))
            until(lambda: self.first._waits)
            self.second.pause()

    def pieces(self):
        return len(self.engine.begun) - self.begun

    def close(self):
        self.engine.hold.set()
        self.first.close()
        self.second.close()


@pytest.fixture
def cameras():
    two = TwoCameras()
    yield two
    two.close()


def test_a_piece_waits_for_the_frames_of_other_cameras(cameras):
    assert cameras.pieces() == 0
    cameras.second.resume()
    until(lambda: cameras.pieces() == 1)


def test_a_piece_that_has_missed_its_turn_takes_the_next_one(cameras):
    with cameras.first.frame():
        assert cameras.pieces() == 0
    until(lambda: cameras.pieces() == 1)  # though the other camera's frame is in work


def test_frames_wait_for_the_piece_of_another_camera_until_that_is_closed(cameras):
    cameras.engine.hold.clear()
    cameras.second.resume()
    until(lambda: cameras.pieces() == 1)
    paused = threading.Event()
    thread = threading.Thread(target=lambda: (cameras.second.pause(), paused.set()))
    thread.start()
    assert not paused.is_set()
    cameras.first.close()  # though its piece hangs
    assert paused.wait(10)


def test_a_common_branch_that_is_late_is_given_its_turn():
    """Frames that come one right after the other would leave it none to take."""
    engine = FakeEngine()
    worker = create_worker(engine, config("slices", slices=2, max_age_ms=100.0), None)
    worker.submit(key(0, 1))
    engine.hold.clear()
    with worker.frame():
        worker.submit(key(1000, 2))
        until(lambda: worker._waits)
    assert workers.turns_of(engine).piece is worker
    engine.hold.set()
    worker.close()


def test_a_frame_that_fails_is_over():
    class Fails(FakeEngine):
        def logits(self, common, independent):
            raise RuntimeError("no memory")

    engine = Fails()
    with StreamSegmenter(engine, config("slices")) as stream:
        with pytest.raises(RuntimeError):
            stream.step(frame(1), MS)
        assert not workers.turns_of(engine).frames


def test_streams_on_other_engines_have_other_turns():
    one, other = FakeEngine(), FakeEngine()
    assert workers.turns_of(one) is workers.turns_of(one) is not workers.turns_of(other)


@pytest.mark.parametrize(
    ("period", "max_age", "pieces"),
    [(100.0, 1e12, 27), (100.0, 3000.0, 15), (1000.0, 3000.0, 1), (2000.0, 500.0, 1)],
)
def test_there_are_no_more_pieces_than_keep_common_features_young(period, max_age, pieces):
    spare, now_ms = SpareTime(0, max_age), 0.0
    spare.common_took(800.0)
    for _ in range(5):
        spare.frame_begins(now_ms)
        spare.frame_ends(now_ms + period - 50.0)
        now_ms += period
    spare.frame_begins(now_ms)
    # Of 50 ms between two frames, 60 %. A feature is in use until the one after it is done.
    assert spare.pieces() == pieces


def test_time_that_ends_with_another_cameras_frame_is_not_spare():
    spare = SpareTime(0)
    spare.common_took(800.0)
    for now_ms in (0.0, 1000.0, 2000.0):
        spare.frame_begins(now_ms)
        spare.frame_ends(now_ms + 100.0)
        spare.spare_ends(now_ms + 200.0)
    assert spare.pieces() == 14
    spare.frame_begins(3000.0)
    spare.frame_ends(3100.0, spare=False)
    spare.frame_begins(4000.0)
    assert spare.pieces() == 14


@pytest.mark.parametrize(
    ("gaps", "pieces"),
    [
        ([100.0], 14),
        ([0.0], MOST_PIECES),
        ([5000.0], 1),
        ([*[100.0] * 3, 27_000.0], 14),
        ([27_000.0, *[100.0] * 2], 14),
        ([*[100.0] * 4, *[0.1] * 3], 14),
        ([*[100.0] * 9, *[200.0] * 5], 7),
        ([], 8),
    ],
)
def test_the_number_of_pieces_follows_the_time_between_frames(gaps, pieces):
    spare, now_ms = SpareTime(0), 0.0
    spare.common_took(800.0)
    for gap in gaps:
        spare.frame_ends(now_ms)
        spare.frame_begins(now_ms + gap)
        now_ms += 1000.0
    # 800 ms in pieces of 60 % of 100 ms are 14. A pause, or frames that come at once after late ones, change nothing.
    assert spare.pieces() == pieces
    assert SpareTime(7).pieces() == 7


def test_a_common_branch_that_is_slow_once_does_not_change_the_number_of_pieces():
    """New pieces are: they are compiled first."""
    spare = SpareTime(0)
    spare.frame_ends(0.0)
    spare.frame_begins(100.0)
    for took, pieces in (
        (120.0, 2),
        (500.0, 2),
        (130.0, 2),
        (300.0, 2),
        (310.0, 2),
        (320.0, 3),
        (330.0, 3),
        (340.0, 5),
        (50.0, 1),
    ):
        spare.common_took(took)
        assert spare.pieces() == pieces, took


def test_what_waits_behind_the_first_frame_does_not_make_slices_small():
    spare = SpareTime(0)
    spare.frame_begins(0.0)
    spare.frame_waits()
    spare.frame_ends(300.0)
    spare.frame_begins(300.1)  # it came while the first one was in work
    spare.common_took(800.0)
    assert spare.pieces() == SpareTime(0).pieces()
    spare.frame_ends(310.0)
    spare.frame_begins(410.0)
    assert spare.pieces() == 14


# -- thread ------------------------------------------------------------------------------------------------------------


def test_the_thread_lowers_its_priority_and_the_frames_keep_theirs(monkeypatch):
    lowered: list[str] = []
    monkeypatch.setattr(background, "lower_priority", lambda: lowered.append(threading.current_thread().name))
    engine = FakeEngine()
    with StreamSegmenter(engine, config("thread", key_interval=1)) as stream:
        stamps = itertools.count(MS, MS)
        until(lambda: stream.step(frame(1), next(stamps)) and len(engine.threads) >= 2)
    assert lowered == ["dcfm common branch"]
    assert engine.threads[0] == threading.current_thread().name, (
        "the first frame waits for its own: no idling there"
    )
    assert engine.threads[1] == "dcfm common branch"
    create_worker(engine, config("slices"), None).close()
    assert len(lowered) == 1, "slices have their turns: frames wait for the piece in work"


def test_lower_priority_is_that_of_the_calling_thread_alone():
    got: list[object] = []
    thread = threading.Thread(
        target=lambda: got.extend((priority.lower_priority(), os.sched_getscheduler(0)))
    )
    thread.start()
    thread.join()
    assert got == ["idle", os.SCHED_IDLE]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_the_thread_budget_is_handed_to_the_engine():
    engine = FakeEngine()
    create_worker(engine, config("thread", background_threads=3), None).close()
    assert engine.budget == 3
    create_worker(engine, config("thread"), None).close()
    assert engine.budget == max(1, usable_cores() // 2)


@pytest.mark.parametrize(("refused", "granted"), [(("sched",), "nice"), (("sched", "nice"), "")])
def test_where_the_system_refuses_idle_priority_the_thread_runs_all_the_same(monkeypatch, refused, granted):
    def refuse(*_):
        raise PermissionError("not here")

    if "sched" in refused:
        monkeypatch.setattr(os, "sched_setscheduler", refuse)
    if "nice" in refused:
        monkeypatch.setattr(os, "setpriority", refuse)
    got: list[str] = []
    thread = threading.Thread(target=lambda: got.append(priority.lower_priority()))
    thread.start()
    thread.join()
    assert got == [granted]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < 19, (
        "of the thread, not of the process"
    )


def test_a_reset_ends_the_common_branch_of_the_past_at_its_next_piece():
    class Counts(FakeEngine):
        def common_slices(self, independent, pieces):
            for _ in range(pieces):
                done.append(independent)
                in_work.set()
                self.hold.wait(10)
                yield
            return independent

    done: list[int] = []
    in_work = threading.Event()
    engine = Counts()
    worker = create_worker(engine, config("thread"), None)
    worker.submit(key(0, 1))
    engine.hold.clear()
    worker.submit(key(1, 2))
    assert in_work.wait(10)
    worker.forget()
    engine.hold.set()
    worker.submit(key(2, 3))
    worker.submit(key(3, 4))
    until(lambda: worker.newest.index == 3)
    assert done.count(2) == 1 and done.count(4) > 1
    assert worker.errors == 0
    worker.close()
