"""The scripts of `bench/` that need no ROS: they say how they are used, and their pages are the committed ones."""

import sys

import pytest
import run
import space
import steady
import yolo26
from steady_result import STEADY_FILE, load_steady_runs

from dcfm_lab.measure.result_file import load_result


@pytest.mark.parametrize("script", [run, space, steady, yolo26])
def test_a_script_says_how_it_is_used(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["script", "--help"])
    with pytest.raises(SystemExit) as stop:
        script.main()
    assert stop.value.code == 0 and "--page" in capsys.readouterr().out


def test_the_committed_tables_of_latency_are_those_of_the_committed_measurements():
    runs = load_steady_runs(steady.RESULTS / STEADY_FILE)
    assert steady.PAGE.read_text(encoding="utf-8") == steady.render(runs), (
        "make them anew: python bench/steady.py --page"
    )


@pytest.mark.parametrize("script", [space, yolo26])
def test_a_page_is_that_of_its_committed_measurement(script):
    result = load_result(script.Result, script.RESULTS, script.FORMAT, "")
    text = script.PAGE.read_text(encoding="utf-8")
    assert script.render(result, text) == text, "make it anew with --page"
