"""The demo's drive is rendered once, and kept."""

import numpy as np

from dcfm_ros.media.bags import Bag
from dcfm_ros.replay.live import drive
from dcfm_ros.replay.live.drive import IMAGE_TOPIC, LABEL_TOPIC, Drive, rendered


def test_a_drive_is_rendered_once(tmp_path, monkeypatch):
    rendering = []

    def render(asked):
        rendering.append(asked)
        return [(np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8))] * asked.length

    monkeypatch.setenv("DCFM_CACHE", str(tmp_path))
    monkeypatch.setattr(drive, "_render", render)
    short, long = Drive(0, (64, 48), 15.0, 3), Drive(0, (64, 48), 15.0, 4)
    path = rendered(short)
    assert {topic.name: topic.count for topic in Bag(path).topics} == {IMAGE_TOPIC: 3, LABEL_TOPIC: 3}
    assert rendered(short) == path != rendered(long)
    assert rendering == [short, long]
