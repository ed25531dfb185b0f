"""Libraries that are too old end the command and the node with one line, before anything is imported."""

import re

import pytest

from dcfm_ros import cli, requirements
from dcfm_ros.node import main as node


@pytest.fixture
def humble(monkeypatch):
    """What Ubuntu 22.04 has, PyTorch not at all."""
    monkeypatch.setattr(requirements, "_version", {"numpy": "1.21.5", "numba": "0.55.1", "torch": ""}.get)


def test_what_is_installed_here_is_new_enough():
    assert requirements.too_old() == ""


@pytest.mark.parametrize("arguments", [["replay", "--help"], ["replay", "drive"], ["demo"]])
def test_a_command_says_in_one_line_what_is_too_old(humble, capsys, arguments):
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert re.fullmatch(
        r"dcfm: error: too old for dcfm_ros: numpy 1.21.5, numba 0.55.1\. .*'numpy>=1.26,<2' .*\n", told
    )


def test_so_does_the_node(humble, capsys):
    assert node._run([], None) == 1
    assert re.fullmatch(r"dcfm_node: too old for dcfm_ros: numpy 1.21.5.*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("version", "old"), [("1.25.9", True), ("1.26", False), ("2.4.6", False), ("1", True)]
)
def test_versions_are_compared_as_numbers(monkeypatch, version, old):
    monkeypatch.setattr(
        requirements, "_version", {"numpy": version, "numba": "0.100+a", "torch": "2.13.0+cpu"}.get
    )
    assert bool(requirements.too_old()) is old
