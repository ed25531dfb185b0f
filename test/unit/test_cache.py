"""The cache builds once, notices damage, and is never in the way."""

import fcntl
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from dcfm_ros import cache as module
from dcfm_ros.cache import MANIFEST, cached

KEY = {"weights": "abc", "library": "1.0"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Builder:
    """Writes a file and counts."""

    def __init__(self):
        self.times = 0

    def __call__(self, folder):
        self.times += 1
        (folder / "graph.onnx").write_text(f"build {self.times}")
        (folder / "deeper").mkdir()
        (folder / "deeper" / "engine").write_bytes(b"x" * 100)


def test_it_builds_once(root):
    build = Builder()
    first, second = cached("m", KEY, build), cached("m", KEY, build)
    assert first == second and build.times == 1
    assert (first / "graph.onnx").read_text() == "build 1"
    assert first.parent == root


@pytest.mark.parametrize("changed", ["weights", "library"])
def test_anything_else_in_the_key_is_another_entry(root, changed):
    build = Builder()
    assert cached("m", KEY, build) != cached("m", {**KEY, changed: "other"}, build)
    assert build.times == 2


def truncate(entry):
    file = entry / "graph.onnx"
    file.write_bytes(file.read_bytes()[:-1])


def change_a_bit(entry):
    file = entry / "deeper" / "engine"
    file.write_bytes(b"y" + file.read_bytes()[1:])


def remove_a_file(entry):
    (entry / "graph.onnx").unlink()


def cut_the_manifest(entry):
    file = entry / MANIFEST
    file.write_text(file.read_text()[:10])


def empty_the_manifest(entry):
    (entry / MANIFEST).write_text("[]")


def claim_another_version(entry):
    manifest = json.loads((entry / MANIFEST).read_text())
    manifest["key"]["library"] = "2.0"
    (entry / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage",
    [truncate, change_a_bit, remove_a_file, cut_the_manifest, empty_the_manifest, claim_another_version],
)
def test_a_damaged_entry_is_built_again(root, caplog, damage):
    build = Builder()
    damage(cached("m", KEY, build))
    entry = cached("m", KEY, build)
    assert build.times == 2 and (entry / "graph.onnx").read_text() == "build 2"
    assert "damaged and built again" in caplog.text
    assert cached("m", KEY, build) == entry and build.times == 2


def test_a_failed_build_leaves_nothing(root):
    def fail(folder):
        (folder / "half").write_text("")
        raise ValueError("no memory")

    with pytest.raises(ValueError, match="no memory"):
        cached("m", KEY, fail)
    assert [path for path in root.iterdir() if path.is_dir()] == []
    build = Builder()
    cached("m", KEY, build)
    assert build.times == 1


@pytest.mark.parametrize("kind", ["a file", "a folder without permission"])
def test_where_the_cache_cannot_be_written_the_process_builds_for_itself(tmp_path, monkeypatch, caplog, kind):
    place = tmp_path / "place"
    if kind == "a file":
        place.write_text("")
    else:
        place.mkdir()
        monkeypatch.setattr(module.tempfile, "mkdtemp", refusing(place, module.tempfile.mkdtemp))
    monkeypatch.setenv("DCFM_CACHE", str(place))
    build = Builder()
    entry = cached("m", {**KEY, "kind": kind}, build)
    assert (entry / "graph.onnx").is_file() and place not in entry.parents
    assert f"the cache {place} cannot be used" in caplog.text
    assert cached("m", {**KEY, "kind": kind}, build) == entry and build.times == 1


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, in a process that has none of its own yet and a cache that cannot be written."""
    place = tmp_path / "temporary"
    place.mkdir()
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module.tempfile, "tempdir", str(place))
    module.remove_own_folder()
    yield place
    module.remove_own_folder()


def test_what_was_built_for_this_process_can_be_removed_and_built_again(temporary):
    build = Builder()
    entry = cached("m", KEY, build)
    (own,) = temporary.iterdir()
    assert own in entry.parents and own.name.startswith("dcfm-")
    module.remove_own_folder()
    module.remove_own_folder()
    assert list(temporary.iterdir()) == []
    assert cached("m", KEY, build).is_dir() and build.times == 2


def leave_a_folder():
    """A process that is killed with a folder of its own."""
    process = multiprocessing.get_context("fork").Process(target=_build_and_die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _build_and_die():
    module._own_folder.cache_clear()  # the parent's
    cached("m", KEY, Builder())
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_processes_left_behind_that_have_ended_goes(temporary):
    leave_a_folder()
    (ended,) = temporary.iterdir()
    others = [temporary / name for name in ("dcfm-without-a-lock", "dcfm-alive", "else")]
    for folder in others:
        folder.mkdir()
    with (others[1] / module.ALIVE).open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        entry = cached("m", KEY, Builder())
        assert set(temporary.iterdir()) == {*others, entry.parent}
    assert not ended.exists()


def test_a_folder_has_its_name_only_when_it_is_locked(temporary, monkeypatch):
    """What is not locked is taken for a dead process's."""
    seen = []
    lock = fcntl.flock

    def watched(file, how):
        seen.extend(path.name for path in temporary.iterdir() if path.name.startswith(module.OWN_PREFIX))
        lock(file, how)

    monkeypatch.setattr(module.fcntl, "flock", watched)
    entry = cached("m", KEY, Builder())
    assert seen == [] and entry.parent.name.startswith(module.OWN_PREFIX)


def test_a_child_that_was_killed_leaves_nothing_after_its_parent(temporary):
    cached("m", KEY, Builder())
    leave_a_folder()
    assert len(list(temporary.iterdir())) == 2
    module.remove_own_folder()
    assert list(temporary.iterdir()) == []


def refusing(place, make):
    """As root, tests can write anywhere: the folder has to refuse by other means."""

    def mkdtemp(*args, dir=None, **kwargs):
        if dir is not None and Path(dir) == place:
            raise PermissionError(13, "Permission denied", str(dir))
        return make(*args, dir=dir, **kwargs)

    return mkdtemp


def build_slowly(counter, folder):
    with counter.get_lock():
        counter.value += 1
    time.sleep(0.2)  # widens the window in which the others must wait; the test does not depend on it
    (folder / "graph.onnx").write_text("whole")


def use(root, counter, barrier, results):
    os.environ["DCFM_CACHE"] = root
    barrier.wait()
    entry = cached("m", KEY, lambda folder: build_slowly(counter, folder))
    results.put((entry / "graph.onnx").read_text())


def test_of_several_processes_one_builds(root):
    context = multiprocessing.get_context("fork")
    counter, barrier, results = context.Value("i", 0), context.Barrier(4), context.Queue()
    processes = [context.Process(target=use, args=(str(root), counter, barrier, results)) for _ in range(4)]
    for process in processes:
        process.start()
    texts = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert texts == ["whole"] * 4 and counter.value == 1


def test_the_oldest_entries_of_a_folder_go(root):
    build = Builder()
    other = cached("m", KEY, build)
    os.utime(other, (0, 0))
    entries = []
    for i in range(3):
        entries.append(cached("m", {"number": str(i)}, build, folder="drives", kept=2))
        os.utime(entries[-1], (i, i))
    assert [entry.exists() for entry in entries] == [False, True, True]
    assert entries[-1].parent == root / "drives" and other.exists()


def test_a_folder_elsewhere(root, tmp_path):
    entry = cached("m", KEY, Builder(), folder=tmp_path / "mine")
    assert entry.parent == tmp_path / "mine" and not root.exists()


def _die_while_building(folder):
    (folder / "half").write_text("")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("next_key", [KEY, {"another": "entry"}, {"an": "old entry"}])
def test_what_a_killed_builder_has_left_goes_at_the_next_start(root, next_key):
    if "an" in next_key:
        cached("m", next_key, Builder())
    process = multiprocessing.get_context("fork").Process(target=cached, args=("m", KEY, _die_while_building))
    process.start()
    process.join()
    assert [path for path in root.iterdir() if path.is_dir()]
    entry = cached("m", next_key, Builder())
    assert [path for path in root.iterdir() if path.is_dir()] == [entry]


def test_what_a_living_builder_has_begun_stays(root):
    inner = []

    def build(folder):
        (folder / "half").write_text("")
        inner.append(cached("m", {"another": "entry"}, Builder()))
        assert (folder / "half").is_file()

    outer = cached("m", KEY, build)
    assert {path for path in root.iterdir() if path.is_dir()} == {outer, *inner}
