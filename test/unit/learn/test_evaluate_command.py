"""`dcfm evaluate`, from the weights to the page, on six frames."""

from __future__ import annotations

from pathlib import Path

import pytest
import trees

from dcfm_lab.evaluation.config import BIDIRECTIONAL, CAUSAL, COPIED, PUBLISHED, WARPED, WARPED_CHEAPLY
from dcfm_lab.evaluation.report import load_report
from dcfm_ros.cli import main
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model


@pytest.fixture(scope="module")
def weights(random_weights) -> list[Path]:
    names = ("first", "second")
    return [random_weights(seed, name=name, input_size=(64, 48)) for seed, name in enumerate(names)]


def on(footage):
    """What all evaluations here are of, and how they run."""
    return ["--data", f"camvid:{footage}", "--threads", "1", "--engine", "torch"]


def test_groups_are_measured_in_the_classes_place(footage, weights, tmp_path, capsys):
    (tmp_path / "groups.yaml").write_text(
        "ground: [road, pavement]\nsky: {classes: sky, drop: true}\nthing: rest\n"
    )
    words = ["evaluate", str(weights[0]), *on(footage)]
    words += ["--key-intervals", "1", "--speed-frames", "3", "--json", str(tmp_path / "groups.json")]
    assert main([*words, "--classes-file", str(tmp_path / "groups.yaml")]) == 0
    (evaluation,) = load_report(tmp_path / "groups.json").evaluations
    assert evaluation.classes == ("ground", "thing")
    assert len(evaluation.rows[0].per_class_iou) == 2 and 0 < evaluation.rows[0].mean_iou < 1


@pytest.mark.parametrize("groups", ["floor: [road, pavement]\nwall: rest\n", "floor: [road]\nhouse: rest\n"])
def test_groups_are_measured_on_labels_of_their_own(groups, weights, tmp_path, capsys):
    """How well the shipped classes serve somebody's own ones, before any training."""
    (tmp_path / "groups.yaml").write_text(groups)
    data = trees.recordings(tmp_path / "mine")
    words = [
        "evaluate",
        str(weights[0]),
        "--data",
        f"recordings:{data}",
        "--split",
        "train",
        "--threads",
        "1",
    ]
    words += ["--engine", "torch", "--key-intervals", "1", "--speed-frames", "3"]
    words += ["--json", str(tmp_path / "own.json"), "--classes-file", str(tmp_path / "groups.yaml")]
    status, fits = main(words), "wall" in groups
    assert status == (0 if fits else 2)
    if fits:
        (evaluation,) = load_report(tmp_path / "own.json").evaluations
        assert evaluation.classes == ("floor", "wall") and evaluation.rows[0].mean_iou > 0
    else:
        assert (
            "knows 2 classes (floor, house, ...); recordings has 2 classes (floor, wall"
            in capsys.readouterr().err
        )


def test_two_models_in_one_table(footage, weights, tmp_path, capsys):
    words = [
        "evaluate",
        *map(str, weights),
        *on(footage),
    ]
    words += ["--key-intervals", "1", "3", "--triggers", "motion:0.5,interval:2", "--speed-frames", "3"]
    words += ["--json", str(tmp_path / "results" / "two.json"), "--plots", str(tmp_path / "plots")]
    pytest.importorskip("matplotlib")
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "first: mobilenetv2" in printed and "second: mobilenetv2" in printed
    assert "camvid val: 6 labelled frames of 6, 1 video at 15 Hz, 64×48" in printed

    report = load_report(tmp_path / "results" / "two.json")
    assert report.command == (
        "dcfm evaluate first.safetensors second.safetensors --data camvid:camvid --threads 1 --engine torch "
        "--key-intervals 1 3 --triggers motion:0.5,interval:2 --speed-frames 3"
    )
    first, second = report.evaluations
    assert first.model.sha256 != second.model.sha256
    schedules = [(row.method, row.key_interval, row.trigger, row.offsets) for row in first.rows]
    assert schedules == [
        (CAUSAL, 1, "", 1),
        (CAUSAL, 3, "", 3),
        (CAUSAL, 0, "motion:0.5", 1),
        (CAUSAL, 0, "interval:2", 1),
        (BIDIRECTIONAL, 3, "", 3),
        (COPIED, 3, "", 3),
        (WARPED, 3, "", 3),
        (WARPED_CHEAPLY, 3, "", 3),
    ]
    for row in first.rows:
        assert 0 <= row.mean_iou_min <= row.mean_iou <= row.mean_iou_max <= 1 and row.mean_ms > 0
        assert len(row.per_class_iou) == 11 and row.vc8 is None
    # Pictures of noise have nothing in common: the motion trigger takes every frame.
    assert first.rows[2].key_share == 1.0 and first.rows[2].mean_iou == first.rows[0].mean_iou
    assert first.rows[3].key_share == 0.5
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert names == {
        f"two_{n}_{kind}.{end}" for n in (1, 2) for kind in ("interval", "cost") for end in ("png", "svg")
    }


def test_alignment_is_compared_with_the_published_method_in_one_run(footage, weights, tmp_path, capsys):
    path = tmp_path / "aligned.json"
    words = ["evaluate", str(weights[0]), *on(footage), "--align", "flow"]
    words += ["--key-intervals", "3", "--no-bidirectional", "--speed-frames", "3", "--json", str(path)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "torch fp32 on cpu, align flow" in printed and "DCFM as published" in printed
    report = load_report(path)
    assert "--engine torch --align flow" in report.command
    assert [row.method for row in report.evaluations[0].rows] == [
        CAUSAL,
        CAUSAL,
        PUBLISHED,
        COPIED,
        WARPED,
        WARPED_CHEAPLY,
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is nothing to evaluate on; give --data, as in --data camvid:data/camvid"),
        (["--data", "kitti:/tmp"], "unknown dataset 'kitti'"),
        (["--data", "camvid:/nowhere"], "'/nowhere/val' does not exist; expected CamVid"),
        (["--data", "camvid:{footage}", "--triggers", "speed:1"], "unknown trigger 'speed'"),
        (
            ["--data", "camvid:{footage}", "--options", "drives"],
            "--options: 'drives' is not of the form KEY=VALUE",
        ),
        (["--data", "camvid:{footage}", "--device", "tpu"], "unknown device 'tpu'"),
        (
            ["nowhere.safetensors", "--data", "camvid:{footage}"],
            "weights file 'nowhere.safetensors' does not exist",
        ),
    ],
)
def test_what_is_wrong_is_one_line(footage, weights, capsys, words, message):
    words = [word.format(footage=footage) for word in words]
    if not any(word.endswith(".safetensors") for word in words):
        words = [str(weights[0]), *words]
    assert main(["evaluate", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_model_of_other_classes_is_refused(footage, tmp_path, capsys):
    path = tmp_path / "cityscapes.safetensors"
    save_model(build_model(ModelConfig(num_classes=19)), path)
    assert main(["evaluate", str(path), "--data", f"camvid:{footage}"]) == 2
    assert (
        "knows 19 classes (road, sidewalk, building, wall, ...); camvid has 11 classes"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "words", [["--offsets", "0"], ["--offsets", "some"], ["--size", "480"], ["--size", "0x5"]]
)
def test_words_that_are_no_numbers(words, capsys):
    assert main(["evaluate", "--data", "camvid:x", *words]) == 2
    assert f"{words[0]} is '{words[1]}'" in capsys.readouterr().err
