"""Parts of a job go to helpers on other cores than the caller's."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dcfm_ros.config import allowed_cores, usable_cores
from dcfm_ros.engines import threads as module
from dcfm_ros.engines.threads import Helpers, current_core, gives_way

linux_cores = pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs Linux and two cores")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs priorities of threads")


def idle():
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def nice():
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def in_a_thread(*functions):
    """What each of them returns in a thread of its own, one after the other."""
    with ThreadPoolExecutor(1) as pool:
        return [pool.submit(function).result() for function in functions]


def test_every_part_is_done_once():
    done = []
    Helpers(3, "test").share(lambda first, last: done.append((first, last)), [0, 2, 5, 9])
    assert sorted(done) == [(0, 2), (2, 5), (5, 9)]


def test_what_goes_wrong_in_a_helper_reaches_the_caller():
    def work(first, last):
        if first:
            raise ValueError("bad rows")

    with pytest.raises(ValueError, match="bad rows"):
        Helpers(1, "test").share(work, [0, 1, 2])


@linux_cores
def test_helpers_leave_the_callers_core(monkeypatch):
    helpers, seen = Helpers(1, "test"), []

    def work(first, last):
        if first:
            seen.append((threading.get_native_id(), os.sched_getaffinity(0)))

    mine = allowed_cores()
    helpers.share(work, [0, 1, 2])  # makes the thread
    for core in sorted(mine)[:2]:
        monkeypatch.setattr(module, "current_core", lambda core=core: core)
        helpers.share(work, [0, 1, 2])
        assert seen[-1] == (seen[0][0], mine - {core})
    assert allowed_cores() == mine, "the caller itself goes where it likes"


@linux_cores
def test_a_process_held_to_one_core_works():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from dcfm_ros.engines.threads import Helpers\n"
        "helpers, done = Helpers(2, 'test'), []\n"
        "for _ in range(3): helpers.share(lambda first, last: done.append(first), [0, 1, 2, 3])\n"
        "print(sorted(done))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[0, 0, 0, 1, 1, 1, 2, 2, 2]"


@linux
@pytest.mark.parametrize("lower", [idle, nice])
def test_a_thread_that_gives_way_works_alone_and_starts_no_helper(lower):
    helpers, seen = Helpers(1, "test"), []

    def work(first, last):
        seen.append((first, threading.get_native_id(), gives_way()))

    _, me, _ = in_a_thread(lower, threading.get_native_id, lambda: helpers.share(work, [0, 1, 2]))
    assert seen == [(0, me, True), (1, me, True)]
    seen.clear()
    helpers.share(work, [0, 1, 2])
    assert sorted((first, low) for first, _, low in seen) == [(0, False), (1, False)]
    assert len({thread for _, thread, _ in seen}) == 2, (
        "the helper is started by a thread that does not give way"
    )


@linux
def test_in_a_process_that_gives_way_as_a_whole_no_thread_does():
    code = (
        "import os, threading; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)); os.nice(5)\n"
        "from dcfm_ros.engines.threads import gives_way\n"
        "thread = threading.Thread(target=lambda: print(gives_way()))\n"
        "thread.start(); thread.join(); print(gives_way())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]


def test_systems_without_priorities_of_threads(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_getscheduler", raising=False)
    assert not gives_way()


def test_systems_that_do_not_tell_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(module, "LIBC", object())
    assert allowed_cores() == set() and usable_cores() == os.cpu_count() and current_core() == -1
    done = []
    helpers = Helpers(1, "test")
    for _ in range(2):
        helpers.share(lambda first, last: done.append(first), [0, 1, 2])
    assert sorted(done) == [0, 0, 1, 1]
