"""What comes out of an evaluation: JSON, tables and plots."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import pytest

from dcfm_lab.evaluation.plots import save_plots
from dcfm_lab.evaluation.report import load_report, new_report
from dcfm_lab.evaluation.table import class_table, main_table, terminal
from dcfm_lab.measure.plots import BLUE, label_points, new_plot
from dcfm_lab.measure.result_file import save_result
from dcfm_ros.errors import DcfmError

# -- JSON --------------------------------------------------------------------------------------------------------------


def test_json_gives_back_the_same_report(report, tmp_path):
    path = tmp_path / "made" / "report.json"
    save_result(report, path)
    assert load_report(path) == report


def test_json_is_strict_json_with_the_documented_keys(report, tmp_path):
    path = tmp_path / "report.json"
    save_result(report, path)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert list(content) == ["format", "created", "command", "machine", "evaluations"]
    assert list(content["evaluations"][0]) == ["model", "data", "classes", "rows", "seconds", "left_out"]
    assert set(content["machine"]) >= {
        "processor",
        "cores",
        "gpu",
        "torch",
        "numpy",
        "opencv",
        "dcfm_ros",
        "python",
    }
    assert content["evaluations"][0]["rows"][0]["vc16"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "not a result of `dcfm evaluate --json`"),
        ('{"format": "other"}', "not a result of `dcfm evaluate --json`"),
        ('{"format": "dcfm_ros evaluation 1", "speed": 1}', "unknown key 'speed'"),
        ('{"format": "dcfm_ros evaluation 1", "created": ""}', "key 'command' is missing"),
    ],
)
def test_a_wrong_json_file_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "wrong.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DcfmError, match=message) as error:
        load_report(path)
    assert "wrong.json" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(DcfmError, match=r"nowhere\.json.*No such file"):
        load_report(tmp_path / "nowhere.json")


# -- tables ------------------------------------------------------------------------------------------------------------


def test_main_table_in_percent_and_points(evaluation):
    table = main_table(evaluation)
    per_frame, every_5, _, motion, *_ = table.rows
    assert per_frame[:4] == ("DCFM", "every frame", "65.2", "–")
    assert dict(zip(table.head, every_5, strict=True)) == {
        "method": "DCFM",
        "key frames": "every 5",
        "mIoU": "63.1",
        "loss": "2.1",
        "wIoU": "81.0",
        "mAcc": "74.0",
        "VC8": "93.1",
        "VC16": "–",
        "GMAC": "2.50",
        "ms": "16.0",
        "FPS": "62.5",
        "speed-up": "2.50×",
    }
    assert motion[1] == "motion:0.1 (14 %)"


def test_class_table_has_a_line_for_each_class(evaluation):
    table = class_table(evaluation)
    assert table.head == ("IoU", "every frame", "every 5", "every 10", "motion:0.1 (14 %)")
    assert [line[:2] for line in table.rows] == [("sky", "90.0"), ("building", "–"), ("pole", "40.4")]


def test_columns_are_aligned(evaluation):
    lines = main_table(evaluation).text().splitlines()
    assert len({len(line) for line in lines}) == 1
    # Numbers end where their heading ends.
    end = lines[0].index("mIoU") + len("mIoU")
    assert all(line[end - 1].isdigit() and line[end] == " " for line in lines[2:])


def test_terminal_output_tells_model_and_data(report):
    text = terminal(report)
    for part in (
        "tiny: mobilenetv2, 1.23 M parameters",
        "101 labelled frames of 101, 1 video at 15 Hz, 480×360",
    ):
        assert part in text


def test_frames_without_video_are_called_so(evaluation):
    stills = replace(evaluation, data=replace(evaluation.data, fps=0.0, videos=101), rows=evaluation.rows[:1])
    assert "no video (frames stand alone)" in terminal(new_report([stills], ""))


# -- plots -------------------------------------------------------------------------------------------------------------


def test_plots_are_written_and_repeatable(evaluation, tmp_path):
    pytest.importorskip("matplotlib")
    paths = save_plots(evaluation, tmp_path / "plots", "tiny")
    assert [path.name for path in paths] == [
        "tiny_interval.png",
        "tiny_interval.svg",
        "tiny_cost.png",
        "tiny_cost.svg",
    ]
    first = [path.read_bytes() for path in paths]
    save_plots(evaluation, tmp_path / "plots", "tiny")
    assert [path.read_bytes() for path in paths] == first
    assert b"mask moved by optical flow" in first[1]


def test_without_reuse_there_is_nothing_to_plot(evaluation, tmp_path):
    pytest.importorskip("matplotlib")
    assert save_plots(replace(evaluation, rows=evaluation.rows[:1]), tmp_path, "tiny") == []


def test_missing_matplotlib_is_a_plain_message(evaluation, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DcfmError, match="plots need matplotlib.*pip install matplotlib"):
        save_plots(evaluation, tmp_path, "tiny")


def test_labels_of_points_that_lie_together_are_apart():
    pytest.importorskip("matplotlib")
    figure, axes = new_plot("many")
    places = [(10.0 + 0.1 * i, 60.0 + 0.1 * i) for i in range(5)]
    axes.plot(*zip(*places, strict=True), "o")
    axes.set(xlim=(0, 40), ylim=(40, 80))
    label_points(axes, [(f"K={i}", place, BLUE) for i, place in enumerate(places)])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
