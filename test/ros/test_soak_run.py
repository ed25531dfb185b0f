"""The soak: its bad frames are bad, and a run of some seconds with a small model passes."""

import importlib
import json
import os
import random
import subprocess
import sys

import pytest
from processes import SOURCE

from dcfm_ros.media.image_decode import to_rgb
from dcfm_ros.media.image_header import BadImage

BENCH = SOURCE / "bench"
if not BENCH.is_dir():
    pytest.skip("needs the source tree", allow_module_level=True)
sys.path.insert(0, str(BENCH))

pictures = importlib.import_module("soak_pictures")
SIZE = (160, 96)


@pytest.mark.parametrize("compressed", [False, True])
def test_good_frames_can_be_used(compressed):
    assert to_rgb(pictures.good(7, SIZE, compressed=compressed)).shape == (96, 160, 3)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", pictures.BAD)
def test_no_bad_frame_can_be_used(kind, compressed):
    for seed in range(50):
        with pytest.raises(BadImage):
            to_rgb(pictures.BAD[kind](random.Random(seed), SIZE, compressed=compressed))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_soak_passes(weights, tmp_path):
    path = tmp_path / "soak.json"
    command = [sys.executable, str(BENCH / "soak.py"), "--minutes", "0.4", "--seed", "3", "--json", str(path)]
    for setting in (f"weights={weights}", "engine=torch", "threads=1"):
        command += ["--set", setting]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(101 + os.getpid() % 100)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text())
    assert result["problems"] == [] and result["lives"] == 1
    assert sum(row["injected"] for row in result["rows"]) >= 3
    assert sum(row["masks"] for row in result["rows"]) > 50
