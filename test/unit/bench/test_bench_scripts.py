"""The scripts of `bench/` that need no ROS: they say how they are used, and their pages are the committed ones."""

import sys

import pytest
import run
import space
import steady
from steady_result import STEADY_FILE, load_steady_runs


@pytest.mark.parametrize("script", [run, space, steady])
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


def test_the_committed_tables_of_points_are_those_of_the_committed_measurements():
    result = space.load_result(space.Result, space.RESULTS, space.FORMAT, "python bench/space.py")
    text = space.PAGE.read_text(encoding="utf-8")
    assert space.render(result, text) == text, "make them anew: python bench/space.py --page"
