"""The common branch beside the frames: the same features either way, and the manners of the thread."""

from __future__ import annotations

import itertools
import os
import threading

import numpy as np
import pytest
import torch
from fake_engine import TIMEOUT_S, FakeEngine, frame, until

from dcfm_ros.config import usable_cores
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.stream import background
from dcfm_ros.stream.background import BackgroundWorker
from dcfm_ros.stream.common_feature import CommonBranch, KeyFrame
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF
from dcfm_ros.stream.workers import create_worker

MS = 1_000_000
lower_priority = background.lower_priority
QUIET = OFF | {"max_age_ms": NEVER_MS, "agreement": False}


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
        assert torch.equal(worker.current().feature, at_once)
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
    class HoldsAtTheEnd(FakeEngine):
        def common_slices(self, independent, pieces):
            for _ in range(pieces - 1):
                yield
            return self.common(independent)

    at_once, starved = FakeEngine(), HoldsAtTheEnd()
    settings = config("thread")
    whole, beside = CommonBranch(at_once, settings), CommonBranch(starved, settings)
    worker = BackgroundWorker(whole, None, beside, idle=False, overdue_ms=5.0)
    try:
        worker.submit(key(0, 10))
        starved.hold.clear()
        worker.submit(key(1, 11))
        until(lambda: starved.begun == [11])
        worker.submit(key(6, 16))  # overdue
        until(lambda: worker.newest.index == 6)
        starved.hold.set()
        worker.submit(key(7, 17))
        seen = []
        until(lambda: seen.append(worker.newest.index) or seen[-1] == 7)
        assert starved.ended == [11, 17] and set(seen) <= {6, 7}
    finally:
        starved.hold.set()
        worker.close()


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
    thread = threading.Thread(target=lambda: got.extend((lower_priority(), os.sched_getscheduler(0))))
    thread.start()
    thread.join(TIMEOUT_S)
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
    thread = threading.Thread(target=lambda: got.append(lower_priority()))
    thread.start()
    thread.join(TIMEOUT_S)
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
                self.hold.wait(TIMEOUT_S)
                yield
            return independent

    done: list[int] = []
    in_work = threading.Event()
    engine = Counts()
    worker = create_worker(engine, config("thread"), None)
    worker.submit(key(0, 1))
    engine.hold.clear()
    worker.submit(key(1, 2))
    assert in_work.wait(TIMEOUT_S)
    worker.forget()
    engine.hold.set()
    worker.submit(key(2, 3))
    worker.submit(key(3, 4))
    until(lambda: worker.newest.index == 3)
    assert done.count(2) == 1 and done.count(4) > 1
    assert worker.errors == 0
    worker.close()
