"""replay.launch.py: plays a recording into the node, writes the report and ends by itself."""

import cv2
import numpy as np
import pytest


@pytest.mark.slow
def test_replay_plays_to_the_end(launched, weights, tmp_path):
    (tmp_path / "drive").mkdir()
    for index in range(6):
        cv2.imwrite(str(tmp_path / "drive" / f"{index}.png"), np.full((64, 96, 3), 30 * index, np.uint8))
    launch = launched(
        "replay.launch.py",
        f"input:={tmp_path / 'drive'}",
        f"report:={tmp_path / 'out'}",
        "sim_time:=true",
        "loop:=2",
        f"arguments:=--weights {weights} --no-video",
    )
    launch.process.wait(150)
    assert (tmp_path / "out" / "index.html").is_file(), launch.output
    assert launch.children() == []
