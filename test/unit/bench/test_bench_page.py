"""`docs/speed.md` is what the generator makes of the committed measurements, and it makes what it is given."""

from dataclasses import replace
from pathlib import Path

import pytest
from bench_reports import case, label_map_row, node_row, part, row, suite
from page import render, write_page
from parts import OutputRow, RateRow, load_suite, merge_into
from steady_result import Steady, Way, save_steady_runs

from dcfm_lab.bench.result import MemoryRow
from dcfm_lab.measure.result_file import save_result
from dcfm_ros.errors import DcfmError

ROOT = Path(__file__).resolve().parents[3]
RESULTS, NOTES, PAGE = ROOT / "bench/results", ROOT / "bench/misses.yaml", ROOT / "docs/speed.md"


def test_the_committed_page_is_that_of_the_committed_measurements():
    assert PAGE.read_text(encoding="utf-8") == render(RESULTS, NOTES, PAGE), (
        "make it anew: python bench/run.py --page"
    )


@pytest.fixture
def results(tmp_path):
    rows = (row(other=50.0), row("tensorrt", "fp16", skipped="needs a GPU", agreement=None))
    parts = (
        part("label_map", label_maps=(label_map_row(),)),
        part("mit_b2_vspw", cases=(case(*rows),)),
        part(
            "memory",
            memory=(MemoryRow("dcfm", "torch", "fp32", case="shipped", peak_mib=400.0, imports_mib=300.0),),
        ),
        part(
            "node",
            node=(node_row(),),
            rates=(RateRow("background", (480, 360), 60.0, (30.0, 60.0, 90.0)),),
            outputs=(OutputRow("overlay", (1280, 720), 30.0, 0.05),),
        ),
    )
    save_result(suite(*parts), tmp_path / "cpu.json")
    ways = (Way("inline", 100.0, 110.0, 1000.0, 0.1, 5.0), Way("thread", 104.0, 120.0, 140.0, 0.0, 9.5))
    save_steady_runs(tmp_path / "steady.json", {"mit_b2": Steady("a camera of 4 Hz", ways, *ways)})
    return tmp_path


@pytest.fixture
def with_gpu(results):
    """Measured on another machine, too, which has one."""
    rows = (row("torch", "fp16", other=0.9, key=6.0, agreement=0.9995),)
    full = case(*rows, name="mit_b1_cityscapes_full")
    save_result(
        suite(part("gpu", cases=(full,)), part("shipped", cases=(case(*rows),))), results / "gpu.json"
    )
    ways = (Way("inline", 2.0, 6.0, 6.1, 0.0, 4.5), Way("thread", 2.0, 2.1, 2.2, 0.0, 4.6))
    save_steady_runs(results / "steady_gpu.json", {"mit_b1_gpu": Steady("a camera of 30 Hz", ways, *ways)})
    return results


def page(results, notes):
    path = results / "notes.yaml"
    path.write_text(notes)
    return render(results, path, results / "speed.md")


def test_a_missed_goal_says_why_and_a_reached_one_does_not(results):
    text = page(results, "other_fp32: the time goes into the wind\nlabel_map: never seen\n")
    assert "the time goes into the wind" in text and "**missed by 50 %**" in text
    assert "never seen" not in text


def test_what_a_user_wants_to_know_comes_first_and_goals_come_last(results):
    text = page(results, "")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    first = [heading for heading in headings if heading not in ("## The node", "## Memory")]
    assert first[:2] == ["## At a glance", "## How it was measured"] and headings[-1] == "## Goals"
    assert headings.index("## The node") < headings.index("## How it was measured")
    cells = "mit_b2, 124 classes, 853×480 | openvino | 50.0 (50.0-50.0) | 100 (100-100) | 18 | 4.00× | 16.4×"
    assert f"| {cells} |" in text


def test_steady_latency_is_judged_and_shown(results):
    text = page(results, "")
    assert "| 1.35 (thread) | reached |" in text  # p99 / p50
    assert "| 1/7.1 | **missed by 12 %** |" in text  # against inline's p99
    assert "| thread | 104 | 120 | 140 | 1.35 | 0.14 | 1.04 | 0.0 % | 9.5 |" in text


def test_a_busy_machine_is_told(results):
    assert "to be taken with care" not in page(results, "")
    node = load_suite(results / "cpu.json").part("node")
    merge_into(results / "cpu.json", replace(node, others_cores=1.3))
    assert "to be taken with care: node (1.3 cores)" in page(results, "")


def test_what_could_not_be_measured_is_told(results):
    assert "tensorrt fp16: needs a GPU" in page(results, "")


def test_without_a_gpu_its_goals_are_open(results):
    text = page(results, "")
    assert text.count("| no GPU at hand | open |") == 3 and ", on a GPU" not in text


def test_what_was_measured_on_a_gpu_has_its_own_part_of_the_page(with_gpu):
    text = page(with_gpu, "gpu_key: the head is wide\n")
    assert "| ≤ 1.0 ms | 0.90 ms (torch fp16; labels 99.950 % equal) | reached |" in text
    assert "6.00 ms (torch fp16; labels 99.950 % equal) | **missed by 20 %** |" in text
    assert "the head is wide" in text and "| ≤ 1.2 | 1.10 (thread) | reached |" in text
    cpu, title, gpu = text.partition("## mit_b2, 124 classes, 853×480, on a GPU")
    assert title and "## Machine\n" in cpu and "## Machine, on a GPU\n" in gpu
    assert "a camera of 4 Hz" in cpu and "a camera of 30 Hz" in gpu
    assert "[cpu.json]" in cpu and "[gpu.json]" in gpu
    assert "## At a glance\n" in cpu and "## At a glance, on a GPU\n" not in text, "it has nothing in fp32"


def test_a_further_machine_has_its_own_column_of_the_goals(results):
    fast = (part("label_map", label_maps=(label_map_row(),)), part("mit_b2_vspw", cases=(case(row()),)))
    save_result(suite(*fast), results / "cpu_fast.json")
    text = page(results, "fast: It is far away.\n")
    goals = text.partition("## Goals")[2].partition("##")[0]
    assert "| goal | asked | measured |  | fast |" in goals
    assert "| **missed by 50 %** | 10.0× (openvino; labels 100.000 % equal), reached |" in goals
    assert "| 1.35 (thread) | reached | – |" in goals, "it was not measured there"
    assert "*fast* is another machine (Processor: one; Cores: 2), measured on 2026-01-01" in text
    assert "([cpu_fast.json](cpu_fast.json)). It is far away." in text
    assert text.count("## mit_b2") == 1, "its tables are in its file"


def test_plots_of_both_machines_have_names_of_their_own(with_gpu, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "notes.yaml").write_text("")
    paths = write_page(with_gpu, tmp_path / "notes.yaml", tmp_path / "docs/speed.md")
    assert len(paths) == len(set(paths)) == 4 and all(path.stat().st_size for path in paths)
    text = paths[0].read_text()
    assert all(f"(pictures/{path.name})" in text for path in paths[1:])


def test_every_table_has_as_many_cells_in_each_line(with_gpu):
    for block in page(with_gpu, "").split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("| "):
            assert len({line.count("|") for line in lines}) == 1, lines[0]


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ("no_such_goal: text", "goals that do not exist: no_such_goal"),
        ("- a list", "must hold keys and values"),
        ("other_fp32: 3", "must map goals to texts"),
    ],
)
def test_stray_notes_are_refused(results, notes, said):
    with pytest.raises(DcfmError, match=said):
        page(results, notes)
