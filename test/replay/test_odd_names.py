"""Names that are not UTF-8, which Linux allows, and pictures of a pixel: read, written and measured as all others."""

import json
import os

import bags
import cv2
import numpy as np
import pytest

from dcfm_ros.cli import main
from dcfm_ros.measure.flow import FlowConsistency
from dcfm_ros.media.files import VideoSource
from dcfm_ros.media.video_writer import VideoWriter
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model


@pytest.fixture
def odd(tmp_path):
    folder = tmp_path / os.fsdecode(b"pict\xff\xfeures")
    folder.mkdir()
    return folder


def test_a_replay_of_a_folder_whose_name_is_not_utf8(odd, tmp_path, capsys):
    weights = tmp_path / "small.safetensors"
    save_model(
        build_model(
            ModelConfig(num_classes=4),
            ModelCard(
                name="small",
                input_size=(64, 48),
                classes=("a", "b", "c", "d"),
                colors=((0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)),
            ),
        ),
        weights,
    )
    for index in range(3):
        (odd / f"{index}.png").write_bytes(cv2.imencode(".png", bags.picture(index))[1].tobytes())
    out = tmp_path / os.fsdecode(b"out\xfd")
    assert main(["replay", str(odd), "-o", str(out), "--weights", str(weights), "--engine", "torch"]) == 0
    assert (
        r"pict\udcff"
        in json.loads((out / "results.json").read_text())["settings"]["Input"]
        .encode("ascii", "backslashreplace")
        .decode()
    )
    (video,) = out.glob("overlay.*")
    assert len(list(VideoSource(video))) == 3


def test_a_video_whose_name_is_not_utf8(odd):
    writer = VideoWriter(odd / os.fsdecode(b"v\xff"), 10.0)
    for index in range(3):
        writer.write(bags.picture(index))
    writer.close()
    assert len(list(VideoSource(writer.path))) == 3


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3000, 2)])
def test_consistency_of_a_picture_of_a_pixel(shape):
    rgb, mask = np.full((*shape, 3), 90, np.uint8), np.ones(shape, np.uint8)
    measure = FlowConsistency()
    assert np.isnan(measure.step(rgb, mask)) and measure.step(rgb, mask) == 1
