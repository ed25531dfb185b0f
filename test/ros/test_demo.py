"""`dcfm demo` from end to end: processes of their own, real DDS, and what lies in the output folder afterwards."""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from processes import SOURCE

from dcfm_ros.media.bags import Bag
from dcfm_ros.replay.outputs import prepare

pytestmark = pytest.mark.timeout(900)
PATIENCE_S = 400  # for one run of the command; a busy machine first compiles the renderer
# Nothing may be lost, however busy this machine is: every frame waits for its turn.
PATIENT = ("--set", "input_reliability:=reliable", "--set", "input_depth:=500", "--set", "mode:=inline")


@pytest.fixture
def demo(tmp_path, weights):
    """Run the command in an empty folder; (exit status, stdout, stderr)."""

    def run(*arguments):
        command = [sys.executable, "-m", "dcfm_ros.cli", "demo", "--weights", str(weights), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=tmp_path,
            env=environment(tmp_path),
        )
        return done.returncode, done.stdout, done.stderr

    return run


def environment(cache):
    """The engine is torch's: another one's compilation is not what these tests are about."""
    path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": path}


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A video of 300 frames of 96×64 at 15 Hz."""
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 15.0, (96, 64))
    y, x = np.mgrid[0:64, 0:96]
    for i in range(300):
        wave = np.uint8(127 + 60 * np.sin(x / 9 + i / 5) + 60 * np.cos(y / 7))
        writer.write(np.dstack([wave, np.roll(wave, 9, 1), np.roll(wave, 9, 0)]))
    writer.release()
    return path


def processes_in(folder):
    """Command lines of the processes whose working directory lies in `folder`."""
    running = [process.info for process in psutil.process_iter(["cwd", "cmdline"])]
    return [info["cmdline"] for info in running if info["cwd"] and Path(info["cwd"]).is_relative_to(folder)]


@pytest.mark.slow
def test_the_drive_is_played_and_measured(demo, tmp_path):
    status, out, err = demo("--frames", "8", "--size", "96x64", "--set", "engine:=torch", *PATIENT)
    assert status == 0, err
    assert "synthetic drive 0, 8 frames of 96×64 at 15 Hz -> ROS 2 node -> demo_out/" in err
    assert re.search(r"frames in +8 ", out) and re.search(r"masks out +8 ", out) and "mIoU" in out
    folder = tmp_path / "demo_out"
    results = json.loads((folder / "results.json").read_text())
    assert results["summary"]["frames_in"] == results["summary"]["masks_out"] == 8
    page = (folder / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "<svg" in page
    video = cv2.VideoCapture(str(next(folder.glob("overlay.*"))))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 8 and video.read()[0]
    counts = {topic.name: topic.count for topic in Bag(folder / "bag").topics}
    assert counts.pop("/diagnostics") >= 1
    assert counts == {
        "/dcfm_demo/image/compressed": 8,
        "/dcfm_demo/label": 8,
        "/dcfm_demo/segmentation/mask": 8,
        "/dcfm_demo/dcfm/timing": 8,
    }
    # What the demo has recorded can be played by it again.
    status, out, err = demo(
        *(str(folder / "bag"), "-o", "again", "--topic", "/dcfm_demo/image/compressed"),
        *("--labels", "/dcfm_demo/label", "--set", "engine:=torch", *PATIENT),
    )
    assert status == 0, err
    assert re.search(r"masks out +8 ", out) and "mIoU" in out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_reports_what_was_played(tmp_path, weights, clip, number):
    command = [sys.executable, "-m", "dcfm_ros.cli", "demo", str(clip), "--weights", str(weights)]
    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 40, 100, 0, 0))  # a bar needs a width
    process = subprocess.Popen(
        [*command, "--set", "engine:=torch"],
        stdout=subprocess.PIPE,
        stderr=end,
        cwd=tmp_path,
        env=environment(tmp_path),
        start_new_session=True,
    )
    os.close(end)
    try:
        seen = ""
        while not re.search(r"\b[1-9]\d*/300\b", seen):  # a progress bar that has begun to move
            seen += os.read(terminal, 4096).decode(errors="replace")
        os.killpg(process.pid, number)
        out, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        os.close(terminal)
    assert process.returncode == 130
    assert "interrupted by Ctrl-C or SIGTERM" in (tmp_path / "demo_out" / "index.html").read_text()
    assert 0 < int(re.search(r"frames in +(\d+)", out.decode()).group(1)) < 300
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text("not a video"), "cannot be read as a video"),
        (lambda path: path.mkdir(), "holds neither images"),
    ],
    ids=["missing", "broken", "empty folder"],
)
def test_a_broken_input_is_told_at_once_and_costs_no_former_report(demo, tmp_path, make, words):
    make(tmp_path / "input.mp4")
    status, _, err = demo("input.mp4")
    assert status == 2
    last = err.rstrip().splitlines()[-1]
    assert last.startswith("dcfm: error: ") and words in last
    assert "Traceback" not in err and "starting" not in err
    assert not (tmp_path / "demo_out").exists()


def test_a_node_that_cannot_start_ends_the_demo_with_its_reason(demo, tmp_path, clip):
    status, _, err = demo(str(clip), "--set", "overlay_alpha:=7.0")
    assert status == 2
    assert "The node exited with status 1" in err and "overlay_alpha" in err
    assert processes_in(tmp_path) == []


def test_an_earlier_run_stays_without_force(demo, clip, tmp_path):
    prepare(tmp_path / "out", force=False)
    (tmp_path / "out" / "index.html").write_text("mine")
    status, _, told = demo(str(clip), "-o", "out")
    assert status == 2
    assert "out holds an earlier run; add --force to replace it" in told
    assert (tmp_path / "out" / "index.html").read_text() == "mine"
