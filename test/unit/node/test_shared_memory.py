"""What is looked at, and removed, in Fast DDS's shared memory."""

import fcntl
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

from dcfm_ros.node.fast_dds import PROCESSES, SEGMENT_SIZE, remove_dead_segments, shortage
from dcfm_ros.share import share_path

SPACE = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"
OWNER = """
import fcntl, sys
lock = open(sys.argv[1])
fcntl.flock(lock, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def memory(monkeypatch):
    """Sets the size and the free part of shared memory, in MiB."""

    def give(size, free):
        state = SimpleNamespace(f_frsize=4096, f_blocks=size << 8, f_bavail=free << 8)
        monkeypatch.setattr(os, "statvfs", lambda path: state)

    return give


@pytest.mark.parametrize(
    "size, free, enough", [(64, 64, False), (255, 255, False), (256, 256, True), (512, 30, False)]
)
def test_too_little_is_told_with_the_remedy(memory, size, free, enough):
    memory(size, free)
    text = shortage()
    assert enough == (text == "")
    if not enough:
        assert f"{size} MiB, {free} of them free" in text and "--shm-size" in text


def test_none_at_all_is_too_little(tmp_path):
    assert "0 MiB" in shortage(tmp_path / "nowhere")


def segment_size(profile):
    (size,) = ElementTree.parse(share_path("config", profile)).getroot().iter(f"{SPACE}segment_size")
    return int(size.text)


def test_the_profiles_ask_for_what_is_looked_for():
    assert segment_size("fastdds.xml") == SEGMENT_SIZE
    assert segment_size("fastdds_small.xml") <= 60_000_000 // PROCESSES


def segment(folder, number, *, age_s=60, prefix="fastdds"):
    """(data, lock) as Fast DDS makes them."""
    data = folder / f"{prefix}_{number:016x}"
    lock = folder / f"{data.name}_el"
    data.write_bytes(b"data")
    lock.touch()
    then = lock.stat().st_mtime - age_s
    os.utime(lock, (then, then))
    return data, lock


@pytest.mark.parametrize("prefix", ["fastdds", "fastrtps"])
def test_what_the_dead_left_goes_and_what_is_locked_stays(tmp_path, prefix):
    dead, dead_lock = segment(tmp_path, 1, prefix=prefix)
    alive, alive_lock = segment(tmp_path, 2, prefix=prefix)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(alive_lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert owner.stdout.readline() == b"locked\n"
        assert remove_dead_segments(tmp_path) == 1
        assert not dead.exists() and not dead_lock.exists()
        assert alive.exists() and alive_lock.exists()
    finally:
        owner.kill()
        owner.communicate()
    assert remove_dead_segments(tmp_path) == 1, "the kernel gives back the lock of a process that is killed"


def test_an_owner_that_has_just_begun_may_still_take_its_lock(tmp_path):
    data, lock = segment(tmp_path, 1, age_s=0)
    assert remove_dead_segments(tmp_path) == 0 and data.exists() and lock.exists()


def test_other_files_stay(tmp_path):
    names = [
        "fastdds_port7001_el",
        "fastdds_0123456789abcdef",
        "other_0123456789abcdef_el",
        "sem.fastdds_port7001_mutex",
    ]
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))
    assert remove_dead_segments(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_shared_lock_is_a_lock(tmp_path):
    data, lock = segment(tmp_path, 1)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert remove_dead_segments(tmp_path) == 0 and data.exists()
