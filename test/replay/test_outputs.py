"""The folder a run writes: what is never replaced, and that files are whole or not there."""

import os
import resource

import bags
import numpy as np
import pytest
from fakes import job, never

from dcfm_ros import cli
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import write_text
from dcfm_ros.media.video_writer import VideoWriter
from dcfm_ros.replay.many import replay_one
from dcfm_ros.replay.outputs import prepare
from dcfm_ros.replay.replayer import run_job


@pytest.fixture
def earlier(tmp_path, fake_engine):
    """The folder of an earlier run, with its bag in it."""
    recording = bags.write_ros2(tmp_path / "in", bags.camera_entries(3))
    run_job(job(recording, tmp_path / "out"), never, quiet=True)
    return tmp_path / "out"


def test_a_video_that_a_full_disk_cuts_is_told(tmp_path):
    """As a limit of the process does here: neither makes OpenCV complain."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 256, (60, 120, 160, 3), np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        writer = VideoWriter(tmp_path / "clip", 10.0)
        for picture in noise:
            writer.write(picture)
        with pytest.raises(DcfmError, match=r"clip\.\w+ is cut short; is the disk full"):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("what", ["input", "weights", "labels", "labels in a bag"])
def test_a_run_never_removes_what_it_reads(earlier, what):
    bag, other = earlier / "bag", earlier.parent / "in"
    (earlier / "frames.csv").touch()
    given = {
        "input": {"path": bag},
        "weights": {"path": other, "weights": earlier / "frames.csv"},
        "labels": {"path": other, "labels": str(bag)},
        "labels in a bag": {"path": other, "labels": f"{bag}:/segmentation/mask"},
    }[what]
    before = {path: path.stat().st_mtime_ns for path in earlier.rglob("*")}
    fields = {name: value for name, value in given.items() if name != "path"}
    with pytest.raises(DcfmError, match="is read by this command and lies in its output folder"):
        prepare(earlier, force=True, read=job(given["path"], earlier, force=True, **fields).read)
    assert {path: path.stat().st_mtime_ns for path in earlier.rglob("*")} == before


def test_a_replay_refuses_its_own_output_as_input(earlier):
    with pytest.raises(DcfmError, match="choose another folder"):
        run_job(
            job(earlier / "bag", earlier, topic="/segmentation/overlay/compressed", force=True),
            never,
            quiet=True,
        )
    assert (earlier / "bag" / "metadata.yaml").exists()


def test_a_recording_that_breaks_a_library_is_a_row_of_the_table(tmp_path, monkeypatch, fake_engine):
    recording = bags.write_ros2(tmp_path / "in", bags.camera_entries(3))
    monkeypatch.setattr("dcfm_ros.replay.many.run_job", lambda *_, **__: [].pop())
    outcome = replay_one(job(recording, tmp_path / "out"), never)
    assert outcome.problem == "IndexError: pop from empty list" and outcome.numbers is None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_file_is_whole_or_as_before(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_text("before", path)
    opened = type(path).open
    monkeypatch.setattr(type(path), "open", lambda self, *a, **k: opened(type(path)("/dev/full"), "wb"))
    with pytest.raises(OSError, match="No space left"):
        write_text("after" * 10_000, path)
    monkeypatch.undo()
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["results.json"]


def test_a_file_beside_is_not_followed(tmp_path):
    """Whatever lies there under a name like ours stays as it is."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "results.json.partial").symlink_to(victim)
    write_text("numbers", tmp_path / "results.json")
    assert victim.read_text() == "mine" and (tmp_path / "results.json").read_text() == "numbers"


def test_an_output_that_is_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "out").write_text("")
    recording = bags.write_ros2(tmp_path / "in", bags.camera_entries(3))
    assert cli.main(["replay", str(recording), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("is a file; give a folder.")
