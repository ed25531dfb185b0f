"""replay.launch.py: plays a recording into the node, writes the report and ends by itself, or at Ctrl-C."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.messages import IMAGE, picture

FRAMES, RATE = 6, 15.0


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A bag of a few frames with labels, recorded years ago; its folder's name has a blank."""
    path = tmp_path_factory.mktemp("a drive") / "bag"
    with BagWriter(path) as bag:
        for index in range(FRAMES):
            stamp = 1_500_000_000_000_000_000 + round(index * 1e9 / RATE)
            rgb = np.full((64, 96, 3), 30 * index, np.uint8)
            bag.write("/camera/label", IMAGE, stamp, picture(rgb[..., 0] // 30, stamp, "camera"))
            bag.write("/camera/image", IMAGE, stamp, picture(rgb, stamp, "camera"))
    return path


def given(drive, weights, out, **more):
    """The launch file's arguments."""
    values = {
        "input": drive,
        "report": out,
        "topic": "/camera/image",
        "labels": "/camera/label",
        "sim_time": "true",
        **more,
    }
    extra = f"--weights '{weights}' --no-video --set input_reliability:=reliable --set input_depth:=100"
    return [*(f"{name}:={value}" for name, value in values.items()), f"arguments:={extra}"]


@pytest.mark.slow
def test_replay_plays_to_the_end(launched, weights, drive, tmp_path):
    launch = launched("replay.launch.py", *given(drive, weights, tmp_path / "the report", loop=2))
    assert launch.process.wait(150) == 0, launch.output
    assert launch.children() == []
    numbers = json.loads((tmp_path / "the report" / "results.json").read_text())
    summary = numbers["summary"]
    assert (summary["frames_in"], summary["masks_out"]) == (2 * FRAMES, 2 * FRAMES), launch.output
    assert numbers["accuracy"]["labelled_frames"] == 2 * FRAMES
    assert numbers["notes"] == ["1 break in the stream: the stamps jump back"]


@pytest.mark.slow
def test_ctrl_c_ends_an_endless_replay_with_its_report(launched, weights, drive, tmp_path):
    launch = launched("replay.launch.py", *given(drive, weights, tmp_path / "out", loop=0))
    sent = tmp_path / "out" / "log" / "sent.csv"
    launch.until(
        lambda: sent.is_file() and len(sent.read_text().splitlines()) > 2 * FRAMES, "third turn of the loop"
    )
    launch.interrupt()
    assert launch.children() == []
    assert "Traceback" not in launch.output and "failed to terminate" not in launch.output
    assert "interrupted by Ctrl-C" in (tmp_path / "out" / "index.html").read_text(), launch.output
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["summary"]["frames_in"] > 2 * FRAMES


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("replay.launch.py", ["input:=nowhere.mcap"]), ("demo.launch.py", ["arguments:=--no-such-option"])],
)
def test_a_command_that_fails_fails_the_launch(launched, name, arguments):
    launch = launched(name, *arguments)
    assert launch.process.wait(60) == 1
    assert f"`dcfm {name.partition('.')[0]}` ended with status 2" in launch.output
    assert "Traceback" not in launch.output


def test_launch_does_not_end_the_command_while_it_writes_its_report(started):
    (command,), context = started("replay.launch.py", input="drive")
    patience_s = "".join(part.perform(context) for part in command.sigterm_timeout)
    assert float(patience_s) > 600


def test_what_must_be_given_is_asked_for(launched):
    launch = launched("replay.launch.py")
    assert launch.process.wait(60) != 0
    assert "missing required argument 'input'" in launch.output


@pytest.mark.parametrize(
    ("name", "namespace"), [("replay.launch.py", "/dcfm_replay"), ("demo.launch.py", "/dcfm_demo")]
)
def test_rviz_shows_what_is_played(started, name, namespace):
    (*_, rviz, _), _ = started(name, input="drive", rviz="true")
    config = yaml.safe_load(Path(rviz._Node__arguments[1]).read_text())
    assert [each["Topic"]["Value"] for each in config["Visualization Manager"]["Displays"]] == [
        f"{namespace}/{topic}" for topic in ("segmentation/overlay", "image", "segmentation/mask")
    ]


@pytest.mark.parametrize("name", ["replay.launch.py", "demo.launch.py"])
def test_every_argument_has_its_description(description, name):
    module = description(name)
    declared = [
        entity for entity in module.generate_launch_description().entities if hasattr(entity, "default_value")
    ]
    assert [entity.name for entity in declared] == [*module.ARGUMENTS, "arguments", "rviz"]
    assert all(len(entity.description) > 10 for entity in declared)
