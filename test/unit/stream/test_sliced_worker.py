"""Slices: whose turn it is, and into how many pieces a common branch is cut."""

from __future__ import annotations

import itertools
import threading
import weakref

import pytest
from fake_engine import TIMEOUT_S, FakeEngine, frame, until
from test_background import MS, config, key

from dcfm_ros.engines.base import MAX_PIECES
from dcfm_ros.stream import slices, workers
from dcfm_ros.stream.common_feature import CommonFeature
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.slice_plan import SlicePlan
from dcfm_ros.stream.workers import create_worker


def took(ms: float) -> CommonFeature:
    return CommonFeature(0, 0, 0, None, ms)


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
        assert [r.mask[0, 0] for r in results] == [1] * 7 and results[-1].errors == 0
        assert done[:3] == [4, 4, 4], "the frame of the refresh, in three pieces"
        stamps = itertools.count(8 * MS, MS)
        until(lambda: stream.step(frame(8), next(stamps)).mask[0, 0] == 4)


def test_pieces_are_loaded_before_the_first_frame():
    class Loads(FakeEngine):
        def prepare(self, size, pieces=False):
            loaded.append(pieces)

    for way, in_pieces in (("slices", True), ("thread", False)):
        loaded: list[bool] = []
        StreamSegmenter(Loads(), config(way)).close()
        assert any(loaded) is in_pieces


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
    assert paused.wait(TIMEOUT_S)
    assert worker.newest.index == 0, "the second piece has its turn after the frame"
    worker.resume()
    until(lambda: worker.newest.index == 1)
    worker.close()


class Pieces:
    """What a common branch in work holds."""


def test_what_is_half_done_is_given_up_when_the_camera_goes(monkeypatch):
    monkeypatch.setattr(slices, "IDLE_S", 0.05)
    held: weakref.WeakSet[Pieces] = weakref.WeakSet()

    class Holds(FakeEngine):
        def common_slices(self, independent, pieces):
            loaded = Pieces()
            held.add(loaded)
            for _ in range(pieces):
                assert loaded
                yield
            return independent

    with StreamSegmenter(Holds(), config("slices", key_interval=2, slices=4, max_age_ms=1000)) as stream:
        stream.step(frame(1), MS)
        stream.step(frame(2), 2 * MS)
        assert stream.step(frame(3), 3 * MS).trigger == "interval"
        until(lambda: not held)
        back = stream.step(frame(4), 1500 * MS)
        assert back.trigger and back.mask[0, 0] == 1 and not back.errors
        monkeypatch.undo()  # from now on no frame is late
        stamps = itertools.count(1500 * MS + MS, MS)
        until(lambda: stream.step(frame(5), next(stamps)).mask[0, 0] > 1)


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
            until(lambda: self.first.piece_waits)
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
    assert paused.wait(TIMEOUT_S)


def test_a_common_branch_that_is_late_is_given_its_turn():
    """Frames that come one right after the other would leave it none to take."""
    engine = FakeEngine()
    worker = create_worker(engine, config("slices", slices=2, max_age_ms=100.0), None)
    worker.submit(key(0, 1))
    engine.hold.clear()
    with worker.frame():
        worker.submit(key(1000, 2))
        until(lambda: worker.piece_waits)
    assert workers.turns_of(engine).piece is worker, "before any frame could have begun"
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
    [(100.0, 1e12, MAX_PIECES), (100.0, 2000.0, 10), (1000.0, 3000.0, 1), (2000.0, 500.0, 1)],
)
def test_there_are_no_more_pieces_than_keep_common_features_young(period, max_age, pieces):
    plan, now_ms = SlicePlan(0, max_age), 0.0
    plan.finished(took(800.0))
    for _ in range(5):
        plan.frame_begins(now_ms)
        plan.frame_ends(now_ms + period - 50.0)
        now_ms += period
    plan.frame_begins(now_ms)
    # Of 50 ms between two frames, 60 %. A feature is in use until the one after it is done.
    assert plan.pieces() == pieces


def test_time_that_ends_with_another_cameras_frame_is_not_spare():
    plan = SlicePlan()
    plan.finished(took(800.0))
    for now_ms in (0.0, 1000.0, 2000.0):
        plan.frame_begins(now_ms)
        plan.frame_ends(now_ms + 100.0)
        plan.spare_ends(now_ms + 200.0)
    assert plan.pieces() == 14
    plan.frame_begins(3000.0)
    plan.frame_ends(3100.0, spare=False)
    plan.frame_begins(4000.0)
    assert plan.pieces() == 14


@pytest.mark.parametrize(
    ("gaps", "pieces"),
    [
        ([100.0], 14),
        ([0.0], MAX_PIECES),
        ([5000.0], 1),
        ([*[100.0] * 3, 27_000.0], 14),
        ([27_000.0, *[100.0] * 2], 14),
        ([*[100.0] * 4, *[0.1] * 3], 14),
        ([*[100.0] * 9, *[200.0] * 5], 7),
        ([], 8),
    ],
)
def test_the_number_of_pieces_follows_the_time_between_frames(gaps, pieces):
    plan, now_ms = SlicePlan(), 0.0
    plan.finished(took(800.0))
    for gap in gaps:
        plan.frame_ends(now_ms)
        plan.frame_begins(now_ms + gap)
        now_ms += 1000.0
    # 800 ms in pieces of 60 % of 100 ms are 14. A pause, or frames that come at once after late ones, change nothing.
    assert plan.pieces() == pieces
    assert SlicePlan(7).pieces() == 7


def test_a_common_branch_that_is_slow_once_does_not_change_the_number_of_pieces():
    """New pieces are: they are compiled first."""
    plan = SlicePlan()
    plan.frame_ends(0.0)
    plan.frame_begins(100.0)
    for ms, pieces in (
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
        plan.finished(took(ms))
        assert plan.pieces() == pieces, ms


def test_what_waits_behind_the_first_frame_does_not_make_slices_small():
    plan = SlicePlan()
    plan.frame_begins(0.0, waits=True)
    plan.frame_ends(300.0)
    plan.frame_begins(300.1)  # it came while the first one was in work
    plan.finished(took(800.0))
    assert plan.pieces() == SlicePlan().pieces()
    plan.frame_ends(310.0)
    plan.frame_begins(410.0)
    assert plan.pieces() == 14
