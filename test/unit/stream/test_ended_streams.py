"""Streams that end leave no memory behind, however many there were."""

import json
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest
import torch

from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.streams import Streams

MAX_GROWTH_MIB = 40
"""From the second run's end to the last one's; the first fills what is filled once. It was 63 MiB and more."""


@pytest.mark.slow
def test_cameras_that_come_and_go_leave_no_memory_behind():
    """In a process of its own: what other tests have left in this one's heap says nothing of streams."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True, timeout=170)
    used = json.loads(done.stdout)
    assert used[-1] - used[1] < MAX_GROWTH_MIB, used


def runs_of_cameras(times: int) -> list[int]:
    """What the process holds, MiB, after each run of twelve cameras and sizes that come and go."""
    torch.manual_seed(0)
    engine = create_engine(build_model(ModelConfig()), EngineConfig(engine="torch", threads=2))
    rng = np.random.default_rng(0)

    def run():
        config = StreamConfig(mode="background", key_interval=3)
        with Streams(lambda: StreamSegmenter(engine, config)) as streams:
            for number in range(12):
                width, height = (int(rng.integers(100, limit)) for limit in (640, 480))
                picture = rng.integers(0, 256, (height, width, 3), np.uint8)
                for index in range(5):
                    stamp_ns = 1 + 500_000_000 * number + 100_000_000 * index
                    streams.step(picture, stamp_ns, frame_id=f"camera {number % 3}")

    used = []
    for _ in range(times):
        thread = threading.Thread(target=run)  # as the node has one for each camera
        thread.start()
        thread.join()
        used.append(psutil.Process().memory_info().rss >> 20)
    return used


if __name__ == "__main__":
    print(json.dumps(runs_of_cameras(5)))
