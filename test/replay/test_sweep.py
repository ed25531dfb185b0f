"""Sweeps: what a grid is, what it measures, and what it recommends."""

import json
import math

import bags
import numpy as np
import pytest
import yaml
from bags import stamp_of
from fakes import FakeEngine, ManualClock, job
from hypothesis import given
from hypothesis import strategies as st

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bags import Bag
from dcfm_ros.node.arguments import given_parameters
from dcfm_ros.replay import sinks
from dcfm_ros.replay.clocks import FastClock, RobotClock
from dcfm_ros.replay.job import parse, variants
from dcfm_ros.replay.report.sweep_page import write_sweep
from dcfm_ros.replay.sweep import TOLERANCE, Point, Sweep, recommend, run_sweep
from dcfm_ros.stream.config import StreamConfig


def never():
    return False


def test_a_grid_is_every_combination(tmp_path):
    axes = parse(
        [
            "trigger=interval:5,interval:10+motion:0.2,time:400+max_age:900",
            "size=480x360,640x480",
            "engine=torch",
            "agreement=false",
        ]
    )
    grid = variants(job(tmp_path / "bag", tmp_path / "out"), axes)
    assert len(grid) == 6 and len({run.folder for _, run in grid}) == 6
    settings, run = grid[3]
    assert settings == {
        "trigger": "interval:10+motion:0.2",
        "size": "640x480",
        "engine": "torch",
        "agreement": "false",
    }
    stream = run.stream
    assert (stream.key_interval, stream.motion_threshold, stream.key_period_ms) == (10, 0.2, 0.0)
    assert (stream.input_size, stream.agreement, run.engine.engine) == ((640, 480), False, "torch")
    assert (grid[5][1].stream.key_period_ms, grid[5][1].stream.max_age_ms) == (400.0, 900.0)


@pytest.mark.parametrize(
    "words, message",
    [
        (["size"], "expected NAME=VALUE"),
        (["colour=red"], "knows no axis 'colour'; known: trigger, size, mode"),
        (
            ["trigger=rain:5"],
            "unknown trigger 'rain' in 'rain:5'; known: interval, time, motion, odometry, disagr",
        ),
        (
            ["trigger=interval:often"],
            "trigger 'interval:often' needs a number after the colon, as in interval:1",
        ),
        (["key_interval=x"], "--sweep key_interval is 'x'; expected a whole number from 0"),
        (["agreement=maybe"], "--sweep agreement is 'maybe'; expected true or false"),
        (["size=1x1", "size=2x2"], "names an axis twice"),
    ],
)
def test_grids_that_make_no_sense(words, message):
    with pytest.raises(DcfmError, match=message):
        parse(words)


def test_values_the_stream_refuses(tmp_path):
    with pytest.raises(DcfmError, match="motion in 'motion:7' is 7; expected a number from 0 to 1"):
        parse(["trigger=motion:7"])
    with pytest.raises(DcfmError, match="input_size is .*; give width and height"):
        variants(job(tmp_path, tmp_path), parse(["size=0x4"]))


def point(name, quality, cost_ms, p95=None, lost=0.0):
    return Point(
        name, {"trigger": name}, quality, cost_ms, cost_ms if p95 is None else p95, lost, 0.2, 0.9, page="x"
    )


def test_recommendation_keeps_rate_and_budget():
    points = [point("slow", 0.72, 90), point("good", 0.70, 30, p95=45), point("fast", 0.60, 10)]
    assert recommend(points, 100.0, 100.0, count_losses=True)[0].name == "slow"
    assert recommend(points, 66.0, 66.0, count_losses=True)[0].name == "good"
    assert recommend(points, 66.0, 40.0, count_losses=True)[0].name == "fast"
    best, why = recommend(points, 66.0, 5.0, count_losses=True)
    assert best is None and "closest is fast" in why
    assert recommend([point("a", 0.7, 5, lost=0.1)], 66.0, 66.0, count_losses=True)[0] is None
    assert recommend([point("a", 0.7, 5, lost=0.1)], 66.0, 66.0, count_losses=False)[0].name == "a"
    assert recommend([point("broken", math.nan, math.nan)], 66.0, 66.0, count_losses=True)[0] is None
    # Two tenths of a percentage point are not worth twice the cost.
    close = [point("dear", 0.7010, 40), point("cheap", 0.7000, 20)]
    assert recommend(close, 66.0, 66.0, count_losses=True)[0].name == "cheap"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 100)), min_size=1, max_size=20))
def test_no_point_beats_the_front(numbers):
    points = tuple(point(str(i), quality, cost) for i, (quality, cost) in enumerate(numbers))
    best, _ = recommend(points, None, math.inf, count_losses=True)
    sweep = Sweep(points, "mIoU", None, math.inf, best, "")
    front = sweep.pareto()
    for member in front:
        assert not any(
            other.quality >= member.quality
            and other.cost_ms <= member.cost_ms
            and (other.quality, other.cost_ms) != (member.quality, member.cost_ms)
            for other in points
        )
    for other in points:
        assert any(member.quality >= other.quality and member.cost_ms <= other.cost_ms for member in front)
    assert best.quality >= max(p.quality for p in points) - TOLERANCE


@pytest.fixture
def fake_engines(monkeypatch):
    """Engines with made-up durations on a clock of their own."""
    clock = ManualClock()

    def create(weights, config):
        if config.device != "auto":
            raise DcfmError(f"device '{config.device}' is not there")
        return FakeEngine(clock, independent=10, common=40)

    monkeypatch.setattr("dcfm_ros.replay.replayer.create_engine", create)
    monkeypatch.setattr("dcfm_ros.replay.replayer.weights_path", lambda given: "none")
    monkeypatch.setattr(
        "dcfm_ros.replay.replayer.make_clock",
        lambda name: RobotClock(clock) if name == "robot" else FastClock(),
    )


def drive(path, *, labels, scale=1):
    """Colours that slide over the picture; the label is what a key frame at every frame would say."""
    entries = []
    for index in range(16):
        rgb = np.zeros((48 * scale, 64 * scale, 3), np.uint8)
        rgb[..., 0] = 90
        rgb[:, : 4 * scale * index, 1] = 120
        stamp = stamp_of(index)
        entries.append(("/image", bags.IMAGE, stamp, bags.image(rgb, stamp)))
        if labels:
            label = bags.image(rgb.argmax(-1).astype(np.uint8), stamp, encoding="mono8")
            entries.append(("/label", bags.IMAGE, stamp, label))
    return bags.write_ros2(path, entries)


@pytest.mark.parametrize("labels", [True, False])
def test_a_sweep_from_bag_to_page(tmp_path, fake_engines, labels):
    path = drive(tmp_path / "in", labels=labels)
    base = job(
        path,
        tmp_path / "out",
        clock="robot",
        stream=StreamConfig(agreement=False),
        labels="/label" if labels else None,
    )
    sweep = run_sweep(base, parse(["trigger=interval:1,interval:8", "device=auto,cuda:7"]), never)
    assert [bool(point.problem) for point in sweep.points] == [False, True, False, True]
    failures = [f"interval:{k}, cuda:7 failed: device 'cuda:7' is not there" for k in (1, 8)]
    assert list(sweep.failed) == failures  # and so the exit status is not 0
    assert sweep.rate == pytest.approx(10) and sweep.budget_ms == pytest.approx(100)
    often, seldom = sweep.points[0], sweep.points[2]
    assert often.quality > seldom.quality
    assert (often.key_frames, seldom.key_frames) == (1.0, 2 / 16)
    assert ("mIoU" in sweep.quality) is labels
    if not labels:
        # Every frame a key frame, but in the background: its common feature is the frame's before, at most.
        reference = Bag(tmp_path / "out" / "runs" / "reference" / "bag")
        assert sum(1 for _ in reference.messages(sinks.MASK)) == 16
    page = write_sweep(sweep, "a drive", tmp_path / "out")
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["recommended"] == sweep.best.name
    assert [run["problem"] for run in numbers["runs"]][1] == "device 'cuda:7' is not there"
    recommended = yaml.safe_load((tmp_path / "out" / "recommended.yaml").read_text())
    texts = {name: str(value).lower() for name, value in recommended["/**"]["ros__parameters"].items()}
    parameters = given_parameters(texts)  # refuses what the node would
    assert parameters["key_interval"] == int(sweep.best.settings["trigger"].partition(":")[2])
    assert (parameters["motion_threshold"], parameters["agreement"]) == (0.0, False)
    text = page.read_text()
    assert "<svg" in text and "interval:8" in text and "http" not in text.replace("http://www.w3.org", "")
    for run in sweep.points:
        assert bool(run.problem) or (tmp_path / "out" / run.page).is_file()
    rows = (tmp_path / "out" / "table.csv").read_text().splitlines()
    assert rows[0].startswith("trigger,device,quality,cost_ms") and len(rows) == 5


@pytest.mark.parametrize("labels", [True, False])
def test_a_recording_that_is_cut_off_is_told_once(tmp_path, fake_engines, labels):
    path = drive(tmp_path / "in", labels=labels, scale=5)
    (file,) = path.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: 3 * file.stat().st_size // 4])
    labels = "/label" if labels else None
    base = job(path, tmp_path / "out", clock="robot", labels=labels, stream=StreamConfig())
    sweep = run_sweep(base, parse(["trigger=interval:1,interval:2"]), never)
    (reason,) = sweep.failed
    assert "cut off" in reason and not any(point.problem for point in sweep.points)


def test_a_former_sweep_is_replaced_with_all_its_runs(tmp_path, fake_engines):
    path = drive(tmp_path / "in", labels=True)
    base = job(path, tmp_path / "out", clock="robot", labels="/label", stream=StreamConfig())
    run_sweep(base, parse(["trigger=interval:1,interval:2"]), never)
    with pytest.raises(DcfmError, match="add --force"):
        run_sweep(base, parse(["trigger=interval:1"]), never)
    (tmp_path / "out" / "runs" / "mine.txt").write_text("keep me")
    forced = job(path, tmp_path / "out", clock="robot", labels="/label", stream=StreamConfig(), force=True)
    run_sweep(forced, parse(["trigger=interval:3"]), never)
    names = sorted(entry.name for entry in (tmp_path / "out" / "runs").iterdir())
    assert names == ["mine.txt", "trigger-interval-3"]
