"""What comes out of an evaluation: JSON, tables, plots and the page of results."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from dcfm_ros.errors import DcfmError
from dcfm_ros.learn.evaluation.config import BIDIRECTIONAL, CAUSAL, COPIED, WARPED
from dcfm_ros.learn.evaluation.markdown import MARKS, fill, render
from dcfm_ros.learn.evaluation.plots import save_plots
from dcfm_ros.learn.evaluation.report import (
    DataFacts,
    Evaluation,
    ModelFacts,
    Report,
    Row,
    load_report,
    new_report,
)
from dcfm_ros.learn.evaluation.table import class_table, main_table, terminal
from dcfm_ros.measure.plots import BLUE, label_points, new_plot
from dcfm_ros.measure.result_file import save_result

BEGIN, END = MARKS
DOCS = Path(__file__).resolve().parents[3] / "docs"

PER_FRAME = Row(
    method=CAUSAL,
    key_interval=1,
    trigger="",
    offsets=1,
    key_share=1.0,
    mean_iou=0.652,
    mean_iou_min=0.652,
    mean_iou_max=0.652,
    weighted_iou=0.81,
    mean_accuracy=0.74,
    pixel_accuracy=0.9,
    per_class_iou=(0.9, None, 0.404),
    vc8=0.931,
    vc16=None,
    macs=2.5e9,
    key_ms=40.0,
    other_ms=None,
    mean_ms=40.0,
    speed_up=1.0,
)


def reuse(method: str, interval: int, mean_iou: float, **changes) -> Row:
    row = replace(
        PER_FRAME,
        method=method,
        key_interval=interval,
        offsets=interval,
        key_share=1 / interval,
        mean_iou=mean_iou,
        mean_iou_min=mean_iou - 0.01,
        mean_iou_max=mean_iou + 0.01,
        other_ms=10.0,
        mean_ms=10 + 30 / interval,
        speed_up=40 / (10 + 30 / interval),
    )
    return replace(row, **changes)


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(
        model=ModelFacts(
            name="tiny",
            weights="tiny.safetensors",
            sha256="0123456789abcdef" * 4,
            backbone="mobilenetv2",
            licence="CC0",
            parameters=1_230_000,
            macs_key=2_500_000_000,
            macs_other=500_000_000,
            input_size=(480, 360),
            engine="torch",
            device="cpu",
            precision="fp32",
        ),
        data=DataFacts("camvid", "val", videos=1, frames=101, labelled=101, fps=15.0, size=(480, 360)),
        classes=("sky", "building", "pole"),
        rows=(
            PER_FRAME,
            reuse(CAUSAL, 5, 0.631),
            reuse(CAUSAL, 10, 0.6),
            replace(reuse(CAUSAL, 5, 0.64), key_interval=0, trigger="motion:0.1", key_share=0.14),
            reuse(BIDIRECTIONAL, 5, 0.641),
            reuse(COPIED, 5, 0.42),
            reuse(WARPED, 5, 0.58),
        ),
        seconds=12.5,
    )


@pytest.fixture
def report(evaluation) -> Report:
    return new_report([evaluation], "dcfm evaluate --data camvid:camvid")


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
    assert list(content["evaluations"][0]) == ["model", "data", "classes", "rows", "seconds"]
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


# -- the page of results -----------------------------------------------------------------------------------------------


def test_page_holds_every_number_of_the_json(report, evaluation, tmp_path):
    other = replace(evaluation, model=replace(evaluation.model, name="other"), rows=evaluation.rows[:2])
    save_result(report, tmp_path / "results" / "tiny.json")
    save_result(new_report([other], "dcfm evaluate other"), tmp_path / "results" / "other.json")
    (tmp_path / "results" / "tiny_cost.svg").write_text("<svg/>", encoding="utf-8")
    page = render(
        [tmp_path / "results" / name for name in ("tiny.json", "other.json")], tmp_path / "results.md"
    )
    overview = page[page.index("## mIoU") : page.index("## tiny")]
    assert "| camvid val | every frame | every 5 | every 10 |" in overview
    assert "| tiny | 65.2 | 63.1 | 60.0 |" in overview
    assert "| other | 65.2 | 63.1 | – |" in overview
    table = main_table(evaluation)
    for row in (table.head, *table.rows):
        line = next(
            line for line in page.splitlines() if line.split("|")[1:3] and row[0] in line and row[1] in line
        )
        assert tuple(cell.strip() for cell in line.strip("|").split("|")) == row
    assert "[`tiny.json`](results/tiny.json): `dcfm evaluate --data camvid:camvid`" in page
    assert "](results/tiny_cost.svg)" in page and "tiny_interval" not in page


def test_committed_page_is_what_the_generator_makes_of_the_committed_json():
    files = sorted((DOCS / "results").glob("*.json"))
    assert files, "docs/results holds no evaluation"
    page = DOCS / "results.md"
    assert page.read_text(encoding="utf-8") == render(files, page), (
        "run `dcfm evaluate --render docs/results.md docs/results/*.json`"
    )


def test_a_page_that_people_write_keeps_their_words(report, tmp_path):
    save_result(report, tmp_path / "tiny.json")
    page = f"# Card\n\nMy words.\n\n{BEGIN}\nold numbers\n{END}\n\nMore words.\n"
    filled = fill(page, [tmp_path / "tiny.json"], tmp_path / "README.md")
    assert filled.startswith(f"# Card\n\nMy words.\n\n{BEGIN}\n\n### tiny on camvid val\n")
    assert filled.endswith(f"\n\n{END}\n\nMore words.\n")
    assert "old numbers" not in filled and "| every 5" in filled and "# Results" not in filled
    assert fill(filled, [tmp_path / "tiny.json"], tmp_path / "README.md") == filled


def test_committed_card_is_what_the_generator_makes_of_the_committed_json():
    card = DOCS.parent / "weights" / "README.md"
    files = [DOCS / "results" / name for name in ("camvid_test.json", "camvid_val.json")]
    text = card.read_text(encoding="utf-8")
    assert BEGIN in text and text == fill(text, files, card), (
        "run `dcfm evaluate --render weights/README.md docs/results/camvid_test.json docs/results/camvid_val.json`"
    )
