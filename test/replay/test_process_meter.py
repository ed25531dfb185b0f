"""What a process is measured to use."""

import os
import subprocess
import sys
import threading
import time

import pytest

from dcfm_ros.replay.live.processes import ProcessMeter

HELD_MB = 300
PATIENCE_S = 60


@pytest.fixture
def child_of_a_thread():
    """A process that holds memory, and that a thread other than the main one has started, while that thread lives."""
    code = f"held = b'x' * ({HELD_MB} * 2**20); print('holds', flush=True); input()"
    over, children, started = threading.Event(), [], threading.Event()

    def start():
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        children.append(subprocess.Popen([sys.executable, "-c", code], **pipes))
        started.set()
        over.wait()

    thread = threading.Thread(target=start)
    thread.start()
    assert started.wait(PATIENCE_S)
    assert children[0].stdout.readline() == b"holds\n"
    yield children[0]
    if children[0].poll() is None:
        children[0].communicate(b"\n")
    over.set()
    thread.join()


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_children_of_every_thread_count(child_of_a_thread):
    meter = ProcessMeter(os.getpid())
    meter.begin()
    until(lambda: meter.samples)
    with_child = meter.samples[-1].memory_mb
    child_of_a_thread.communicate(b"\n")
    count = len(meter.samples)
    until(lambda: len(meter.samples) > count + 1)
    meter.end()
    assert with_child - meter.samples[-1].memory_mb == pytest.approx(HELD_MB, abs=100)


def test_work_is_processor_time():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    meter = ProcessMeter(busy.pid)
    meter.begin()
    until(lambda: any(sample.cpu_percent > 0 for sample in meter.samples))
    busy.kill()
    busy.wait()
    meter.end()
    assert [sample.time_s for sample in meter.samples] == sorted(sample.time_s for sample in meter.samples)


def test_a_process_that_has_gone_is_not_sampled():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    meter = ProcessMeter(gone.pid)
    meter.begin()
    until(lambda: "process meter" not in [thread.name for thread in threading.enumerate()])
    assert meter.samples == []
