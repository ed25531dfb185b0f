"""The JSON: what is written is read back, and nothing else is."""

import json

import pytest
from bench_reports import case, label_map_row, part, row, suite
from parts import load_suite, merge_into

from dcfm_lab.measure.result_file import save_result
from dcfm_ros.errors import DcfmError


@pytest.fixture
def whole():
    return suite(
        part("label_map", label_maps=(label_map_row(),)),
        part("mit_b2_vspw", cases=(case(row(), row("torch", skipped="not there")),)),
    )


def test_round_trip(whole, tmp_path):
    path = tmp_path / "new" / "cpu.json"
    save_result(whole, path)
    assert load_suite(path) == whole


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda content: content.update(format="dcfm_ros bench 0"), "format"),
        (lambda content: content["parts"][0].update(colour="red"), "colour"),
        (lambda content: content["parts"][1]["cases"][0].pop("rounds"), "rounds"),
        (lambda content: content["parts"][1]["cases"][0].update(rounds="many"), "rounds"),
    ],
)
def test_anything_else_is_refused_with_the_reason(whole, tmp_path, change, word):
    path = tmp_path / "cpu.json"
    save_result(whole, path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DcfmError, match=word):
        load_suite(path)


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_missing_or_broken_file_is_a_plain_message(tmp_path, text):
    path = tmp_path / "cpu.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DcfmError, match="cpu.json"):
        load_suite(path)


def test_a_part_takes_the_place_of_the_one_of_its_name(whole, tmp_path):
    path = tmp_path / "cpu.json"
    save_result(whole, path)
    newer = part("label_map", label_maps=(label_map_row(80.0),))
    merge_into(path, newer, ("mit_b2_vspw", "label_map"))
    merged = load_suite(path)
    assert [p.name for p in merged.parts] == ["mit_b2_vspw", "label_map"]
    assert merged.part("label_map") == newer
    merge_into(tmp_path / "first.json", newer)
    assert load_suite(tmp_path / "first.json").parts == (newer,)
