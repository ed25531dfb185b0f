"""Verdicts: the fastest engine with the right labels counts, and a miss says by how much."""

import pytest
from bench_reports import case, label_map_row, node_row, part, row, suite
from goals import gpu_verdicts, verdicts
from parts import OutputRow
from steady_result import Steady, Way


def judged(key, *parts, steady=None):
    return next(verdict for verdict in verdicts(suite(*parts), steady) if verdict.key == key)


def large(*rows):
    return part("mit_b2_vspw", cases=(case(*rows),))


def test_the_fastest_with_the_right_labels_counts():
    rows = (
        row("torch", other=50.0),
        row("openvino", other=20.0),
        row("onnxruntime", other=10.0, agreement=0.99),
    )
    verdict = judged("other_fp32", large(*rows))
    assert verdict.reached and verdict.measured.startswith("10.0×") and "openvino" in verdict.measured


def test_a_miss_says_by_how_much():
    verdict = judged("other_fp32", large(row(other=50.0)))
    assert verdict.reached is False and verdict.missed_by == "50 %"  # 4 times instead of 8


def test_labels_that_differ_are_a_miss_however_fast():
    verdict = judged("other_int8", large(row(precision="int8", other=1.0, agreement=0.98)))
    assert verdict.reached is False and "98.000 %" in verdict.measured


def test_int8_may_differ_a_little_but_not_the_others():
    parts = large(row(precision="int8", other=10.0, agreement=0.991), row(precision="fp32", agreement=0.991))
    assert judged("other_int8", parts).reached
    assert judged("key_fp32", parts).reached is False


@pytest.mark.parametrize(
    ("key", "value"),
    [("against_user", "32.1×"), ("against_tuned_10", "5.00×"), ("against_tuned_20", "5.83×")],
)
def test_means_over_k_against_segformer(key, value):
    assert judged(key, large(row())).measured.startswith(value)


def test_what_was_not_measured_is_open():
    assert {verdict.reached for verdict in verdicts(suite(), None)} == {None}
    skipped = large(row(skipped="not installed", agreement=None))
    assert judged("other_fp32", skipped).reached is None


@pytest.mark.parametrize(
    ("times", "equal", "reached"), [(61, 1.0, True), (59, 1.0, False), (99, 0.999, False)]
)
def test_label_map(times, equal, reached):
    assert (
        judged("label_map", part("label_map", label_maps=(label_map_row(times, equal),))).reached is reached
    )


def test_shipped_model_in_frames_a_second():
    shipped = part("shipped", cases=(case(row(other=12.5), name="shipped"),))
    verdict = judged("shipped", shipped)
    assert verdict.reached and verdict.measured.startswith("80 FPS")


def test_node():
    outputs = (
        OutputRow("overlay", (1280, 720), 30.0, 0.12),
        OutputRow("confidence", (1280, 720), 30.0, 0.04),
    )
    node = part("node", node=(node_row(6.0),), outputs=outputs)
    assert judged("node_outside", node).missed_by == "20 %"
    verdict = judged("node_output", node)
    assert verdict.reached is False and "overlay 12 %" in verdict.measured


@pytest.mark.parametrize(
    ("changes", "reached"),
    [
        ({"other": 0.9}, True),
        ({"other": 1.1}, False),
        ({"other": 0.9, "agreement": 0.998}, False),  # labels that differ
        ({"other": 0.9, "precision": "fp32"}, None),
    ],
)
def test_on_a_gpu_the_fastest_fp16_with_the_right_labels_counts(changes, reached):
    rows = [row("torch", **{"precision": "fp16", **changes})]
    first = gpu_verdicts(suite(part("gpu", cases=(case(*rows),))), None)[0]
    assert first.reached is reached


def test_how_steady_frames_are_on_a_gpu_is_that_of_its_own_default():
    ways = Way("inline", 1.0, 5.0, 5.0, 0.0, 4.5), Way("thread", 1.0, 1.1, 1.3, 0.0, 4.5)
    *_, tail = gpu_verdicts(suite(), Steady("", ways, *ways))
    assert (tail.measured, tail.reached, tail.missed_by) == ("1.30 (thread)", False, "8 %")
