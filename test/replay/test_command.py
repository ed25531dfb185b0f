"""`dcfm replay` as it is typed: what the options come to, and what is refused before anything is read."""

import argparse

import pytest

from dcfm_ros import cli
from dcfm_ros.commands import replay as command


def job_of(*words):
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.job_of(parser.parse_args(["drive", "-o", "out", *words]))


@pytest.mark.parametrize(
    ("words", "clock", "mode", "confidence"),
    [
        ([], "fast", "inline", True),
        (["--clock", "robot"], "robot", "background", False),
        (["--clock", "robot", "--mode", "inline", "--confidence"], "robot", "inline", True),
        (["--sweep", "size=64x48"], "robot", "background", False),
        (["--sweep", "size=64x48", "--clock", "fast"], "fast", "inline", True),
        (["--live", "--background", "thread"], "robot", "background", False),
    ],
)
def test_what_is_not_given_is_as_the_clock_wants_it(words, clock, mode, confidence):
    job = job_of(*words)
    assert (job.clock, job.stream.mode, job.with_confidence) == (clock, mode, confidence)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frames", "0"], "--frames is 0; expected a whole number of 1 or more"),
        (["--rate", "0"], "--rate is 0; expected a number from 0.001 to 1000"),
        (["--span", "nan"], "--span is 'nan'; expected a number of 0.1 or more"),
        (["--loop", "-1"], "--loop is -1; expected a whole number of 0 or more"),
        (["--merge", "--no-bag"], "--no-bag leaves out"),
        (["--mode", "background"], "needs --clock robot"),
        (["--background", "thread"], "--background is about key frames in the background"),
        (["--slices", "4", "--mode", "inline", "--clock", "robot"], "in mode inline and with --clock fast"),
        (["--background", "foo", "--clock", "robot"], "--background is 'foo'; expected one of auto, thread"),
        (
            ["--background", "process", "--clock", "robot"],
            "background 'process' was removed; use 'slices' or 'thread'",
        ),
        (["--live", "--clock", "robot"], "leave out --sweep, --clock"),
        (["--sweep", "size=1x1", "--live"], "leave out --sweep, --clock"),
        (["--loop", "3"], "--loop needs --live"),
        (["--sim-time"], "--sim-time needs --live"),
        (["--set", "key_interval:=5"], "--set needs --live"),
        (["--ray", "--jobs", "2"], "--jobs is for this machine's cores"),
        (["--odometry", "/odom"], "--odometry is for odometry triggers, and none is set"),
    ],
)
def test_options_that_make_no_sense_are_told_apart(tmp_path, capsys, words, message):
    assert cli.main(["replay", str(tmp_path), "-o", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["clip.mp4", "drive.mcap", "old.bag"])
def test_a_rate_is_for_folders_of_images(tmp_path, capsys, name):
    (tmp_path / name).touch()
    assert cli.main(["replay", str(tmp_path / name), "-o", str(tmp_path / "out"), "--rate", "5"]) == 2
    assert f"--rate is for folders of images; the frames of {tmp_path / name} have" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--live"], ["--sweep", "size=64x48"]])
def test_one_run_takes_no_folder_of_recordings(tmp_path, capsys, words):
    for name in ("monday.mp4", "tuesday.mp4"):
        (tmp_path / name).touch()
    assert cli.main(["replay", str(tmp_path), "-o", str(tmp_path / "out"), *words]) == 2
    assert "holds 2 recordings; --live and --sweep take one" in capsys.readouterr().err
