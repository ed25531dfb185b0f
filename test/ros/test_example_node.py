"""The example node hears the masks of a graph."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ros_graph import image

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "watch_masks.py"


@pytest.mark.skipif(not EXAMPLE.is_file(), reason="needs the source tree")
def test_watch_masks(graph):
    words = [sys.executable, str(EXAMPLE), "--ros-args", "-r", f"__ns:={graph.namespace}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            masks = graph.probe.camera("segmentation/mask")
            graph.probe.matched(masks)
            mask = np.zeros((4, 8), np.uint8)
            mask[0] = 255
            masks.publish(image(mask, encoding="mono8"))
            assert process.stdout.readline() == "{0: 0.75, 255: 0.25}\n"
        finally:
            process.kill()
