"""Many recordings at once: found, shared out, and put into one table."""

import importlib.util
import json
import signal
import subprocess
import sys
import time

import bags
import cv2
import numpy as np
import psutil
import pytest
from bags import stamp_of

from dcfm_ros import cli
from dcfm_ros.media.bags import Bag
from dcfm_ros.replay import sinks
from dcfm_ros.replay.many import Outcome, jobs_for, recordings_in
from dcfm_ros.replay.report.recordings_page import totals


@pytest.fixture(scope="module")
def weights(random_weights):
    return random_weights(1, input_size=(64, 64))


def labelled(path, length):
    entries = []
    for index in range(length):
        stamp = stamp_of(index)
        entries.append(("/image", bags.IMAGE, stamp, bags.image(bags.picture(index), stamp)))
        label = bags.image(np.full((48, 64), index % 3, np.uint8), stamp, encoding="mono8")
        entries.append(("/label", bags.IMAGE, stamp, label))
    return bags.write_ros2(path, entries)


def folder_of_recordings(path):
    path.mkdir()
    labelled(path / "drive10", 4)
    labelled(path / "drive9", 3)
    (path / "broken").mkdir()
    (path / "broken" / "metadata.yaml").write_text("rosbag2_bagfile_information: {}")
    (path / "notes.txt").write_text("sunny")
    return path


def test_recordings_are_found_in_natural_order(tmp_path):
    path = folder_of_recordings(tmp_path / "all")
    (path / "pictures").mkdir()
    cv2.imwrite(str(path / "pictures" / "0.png"), bags.picture(0))
    (path / "clip.mp4").touch()
    assert [entry.name for entry in recordings_in([path])] == [
        "broken",
        "clip.mp4",
        "drive9",
        "drive10",
        "pictures",
    ]
    # What is a recording itself is not looked into, and what is named is taken as it is.
    assert recordings_in([path / "drive9"]) == [path / "drive9"]
    assert recordings_in([path / "nowhere", path / "pictures"]) == [path / "nowhere", path / "pictures"]


@pytest.mark.parametrize(
    ("names", "one"),
    [
        (["drive.mcap"], True),
        (["drive_0.mcap", "drive_1.mcap"], True),
        (["drive_0.db3.zstd", "drive_1.db3.zstd", "notes.txt"], True),
        (["2024-01-01-10-00-00_0.bag", "2024-01-01-10-05-00_1.bag"], True),
        (["monday.mcap", "tuesday.mcap"], False),
        (["monday_0.mcap", "tuesday_0.mcap"], False),
        (["run_1.bag", "run_2.bag"], False),
        (["clip.mp4", "drive.bag"], False),
    ],
)
def test_files_that_are_no_parts_of_one_recording_are_several(tmp_path, names, one):
    for name in names:
        (tmp_path / name).touch()
    wanted = [tmp_path] if one else [tmp_path / name for name in names]
    assert recordings_in([tmp_path]) == wanted


def test_folders_of_equal_names_do_not_collide(tmp_path):
    from fakes import job

    jobs = jobs_for(job(tmp_path, tmp_path / "out"), [tmp_path / "a" / "run", tmp_path / "b" / "run"], 4)
    assert [entry.folder.name for entry in jobs] == ["run", "run_2"]
    assert all(entry.engine.threads >= 1 for entry in jobs)


def check_table(out):
    numbers = json.loads((out / "results.json").read_text())
    assert [run["name"] for run in numbers["runs"]] == ["broken", "drive9", "drive10"]
    assert "not valid rosbag2 metadata" in numbers["runs"][0]["problem"]
    assert numbers["total"]["frames_in"] == 7 and numbers["total"]["failed"] == 1
    alone = [run["results"]["accuracy"]["pixel_accuracy"] for run in numbers["runs"][1:]]
    assert numbers["total"]["pixel_accuracy"] == pytest.approx((3 * alone[0] + 4 * alone[1]) / 7)
    page = (out / "index.html").read_text()
    for run in numbers["runs"][1:]:
        assert run["page"] in page and (out / run["page"]).is_file()
    return numbers


@pytest.mark.slow
def test_a_folder_of_bags_on_all_cores(tmp_path, weights, capsys):
    path = folder_of_recordings(tmp_path / "all")
    options = ["--labels", "/label", "--weights", str(weights), "--no-video", "--jobs", "2"]
    assert cli.main(["replay", str(path), "-o", str(tmp_path / "out"), *options]) == 2  # one is broken
    numbers = check_table(tmp_path / "out")
    shown = capsys.readouterr().out
    assert "3 recordings" in shown and "drive10" in shown
    # A recording by itself comes to the same.
    assert cli.main(["replay", str(path / "drive9"), "-o", str(tmp_path / "one"), *options]) == 0
    one = json.loads((tmp_path / "one" / "results.json").read_text())
    assert one["accuracy"] == numbers["runs"][1]["results"]["accuracy"]


@pytest.mark.slow
def test_sigterm_ends_every_process_with_a_report(tmp_path, weights):
    recordings = [labelled(tmp_path / name, 3000) for name in ("a", "b")]
    command = [
        sys.executable,
        "-m",
        "dcfm_ros.cli",
        "replay",
        *map(str, recordings),
        "-o",
        str(tmp_path / "out"),
    ]
    process = subprocess.Popen(
        [*command, "--labels", "/label", "--weights", str(weights), "--no-video", "--jobs", "2"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    # Both are under way once there is something of their bags.
    while len([file for file in (tmp_path / "out").rglob("*.mcap") if file.stat().st_size > 0]) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    psutil.wait_procs(children, timeout=60)
    assert [child for child in children if child.is_running()] == []
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [run["interrupted"] for run in numbers["runs"]] == [True, True]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_a_folder_of_bags_through_ray(tmp_path, weights):
    path = folder_of_recordings(tmp_path / "all")
    options = ["--labels", "/label", "--weights", str(weights), "--no-video", "--ray", "local"]
    assert cli.main(["replay", str(path), "-o", str(tmp_path / "out"), *options]) == 2
    check_table(tmp_path / "out")


def test_groups_take_the_classes_place_in_the_report(tmp_path, weights):
    """Labels are of the weights' classes: 0, 1 and 2 here."""
    path = labelled(tmp_path / "in", 4)
    (tmp_path / "groups.yaml").write_text("one: [building, sky]\ntwo: rest\n")  # 1 and 0; all others
    options = [str(path), "--labels", "/label", "--weights", str(weights), "--no-video", "--engine", "torch"]
    groups = ["--classes-file", str(tmp_path / "groups.yaml")]
    assert cli.main(["replay", *options, "-o", str(tmp_path / "out"), *groups]) == 0
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(numbers["accuracy"]["per_class_iou"]) == {"one", "two"}
    masks = [np.asarray(message.data) for _, _, message in Bag(tmp_path / "out" / "bag").messages(sinks.MASK)]
    truth = [0 if index % 3 < 2 else 1 for index in range(4)]
    right = np.mean([(mask == label).mean() for mask, label in zip(masks, truth, strict=True)])
    assert numbers["accuracy"]["pixel_accuracy"] == pytest.approx(right)
    sweep = ["--sweep", "trigger=interval:1,interval:2", "--clock", "fast"]
    unlabelled = [word for word in options if word not in ("--labels", "/label")]
    assert (
        cli.main(["replay", *unlabelled, "--topic", "/image", "-o", str(tmp_path / "sweep"), *groups, *sweep])
        == 0
    )
    points = json.loads((tmp_path / "sweep" / "results.json").read_text())["runs"]
    assert points[0]["quality"] == 1.0  # what every frame as a key frame says, against itself


def test_no_labels_no_accuracy():
    assert "mean_iou" not in totals([Outcome("a", ""), Outcome("b", "")])
