"""Which processes count as one when it is measured what a process uses."""

import os
import subprocess
import sys
import threading

import pytest

from dcfm_ros.replay.live.process_meter import _family

pytestmark = pytest.mark.skipif(
    not os.path.exists(f"/proc/self/task/{os.getpid()}/children"), reason="no /proc that lists children"
)


@pytest.fixture
def child_of_a_thread():
    """A process that a thread other than the main one has started, while that thread lives."""
    started, over, children = threading.Event(), threading.Event(), []

    def start():
        children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        started.set()
        over.wait()

    thread = threading.Thread(target=start)
    thread.start()
    assert started.wait(60)
    yield children[0]
    children[0].communicate(b"\n")
    over.set()
    thread.join()


def test_the_children_of_every_thread_count(child_of_a_thread):
    family = _family(os.getpid())
    assert family[0] == os.getpid() and family.count(child_of_a_thread.pid) == 1


def test_a_process_that_has_gone_has_no_children():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert _family(gone.pid) == [gone.pid]
