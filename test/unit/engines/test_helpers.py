"""Parts of a job go to helpers on other cores than the caller's."""

import os
import subprocess
import sys
import threading

import pytest

from dcfm_ros.engines import helpers as module
from dcfm_ros.engines.helpers import Helpers, allowed_cores, current_core, gives_way
from dcfm_ros.stream.priority import lower_priority

linux_cores = pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs Linux and two cores")


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


@pytest.mark.parametrize("refused", [False, True])
def test_a_thread_that_gives_way_works_alone(monkeypatch, refused):
    """Helpers that it gave birth to would give way, too, and to others' frames."""
    if refused:
        monkeypatch.setattr(os, "sched_setscheduler", lambda *_: (_ for _ in ()).throw(PermissionError()))
    helpers, done = Helpers(3, "test"), []

    def work(first, last):
        done.append((first, last, threading.get_native_id()))

    def give_way():
        assert not gives_way()
        assert lower_priority() == ("nice" if refused else "idle")
        helpers.share(work, [0, 2, 5, 9])
        assert done == [(0, 9, threading.get_native_id())]
        passed.append(True)

    passed = []
    thread = threading.Thread(target=give_way)
    thread.start()
    thread.join()
    assert passed
    helpers.share(work, [0, 2, 5])
    assert len(done) == 3


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
        "from dcfm_ros.engines.helpers import Helpers\n"
        "helpers, done = Helpers(2, 'test'), []\n"
        "for _ in range(3): helpers.share(lambda first, last: done.append(first), [0, 1, 2, 3])\n"
        "print(sorted(done))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[0, 0, 0, 1, 1, 1, 2, 2, 2]"


def test_systems_that_do_not_tell_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(module, "LIBC", object())
    assert allowed_cores() == set() and current_core() == -1
    done = []
    helpers = Helpers(1, "test")
    for _ in range(2):
        helpers.share(lambda first, last: done.append(first), [0, 1, 2])
    assert sorted(done) == [0, 0, 1, 1]
