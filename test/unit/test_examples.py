"""What people copy works: the examples that need no ROS, and README's lines."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("needs the source tree", allow_module_level=True)


def run(folder, *words):
    result = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=170,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def clip(tmp_path):
    """The path of a video of seven small frames."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for index in range(7):
        writer.write(np.full((64, 96, 3), 20 * index + 60, np.uint8))
    writer.release()
    return path


def test_segment_video(tmp_path, clip):
    output = run(tmp_path, EXAMPLES / "segment_video.py", clip)
    assert "11 classes, runs on torch" in output
    assert "'first': 1, 'none: the common feature is reused': 5, 'interval': 1" in output
    assert cv2.imread(str(tmp_path / "overlay.png")).shape == (64, 96, 3)


@pytest.mark.slow
def test_own_training_set(tmp_path):
    output = run(tmp_path, EXAMPLES / "own_training_set.py", tmp_path / "garden", 2)
    assert re.search(r"last.safetensors: \d+% of the pixels", output)


def test_the_python_lines_of_the_readme(tmp_path, clip):
    """They run as they stand, on a clip of the name that they give."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert len(code.splitlines()) <= 10
    clip.rename(tmp_path / "clip.mp4")
    (tmp_path / "readme.py").write_text(code)
    assert len(run(tmp_path, "readme.py").splitlines()) == 7, "a line for each frame"
