"""`dcfm node`, `dcfm_node` and `dcfm info`: what they say before anything heavy is imported, and after."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import dcfm_ros
from dcfm_ros import cli
from dcfm_ros.model.shipped import MODELS, default_weights, weights_path
from dcfm_ros.node import main as node
from dcfm_ros.node.parameters import table


def node_command(arguments):
    node.main(arguments)


def dcfm_node_command(arguments):
    cli.main(["node", *arguments])


@pytest.mark.parametrize("command", [node_command, dcfm_node_command])
def test_help_shows_every_parameter_instead_of_starting(command, capsys):
    with pytest.raises(SystemExit) as ended:
        command(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "--ros-args -r image:=" in told
    assert all(f"  {parameter.name}:=" in told for parameter in table())


@pytest.mark.parametrize("command", [node_command, dcfm_node_command])
def test_what_is_not_for_ros_is_refused(command, capsys):
    with pytest.raises(SystemExit) as ended:
        command(["--engine", "torch", "--ros-args", "-p", "threads:=1"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --engine torch\n" in capsys.readouterr().err


def test_what_is_for_ros_goes_to_the_node(monkeypatch):
    given = []
    monkeypatch.setattr(node, "main", given.append)
    assert cli.main(["node", "--ros-args", "-r", "image:=/camera/node", "--log-level", "debug"]) == 0
    assert given == [["--ros-args", "-r", "image:=/camera/node", "--log-level", "debug"]]


def test_help_of_the_node_imports_neither_torch_nor_ros():
    code = (
        "import sys\nfrom dcfm_ros.node.main import main\n"
        "try:\n    main(['-h'])\nexcept SystemExit:\n    print({'torch', 'rclpy', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_info_tells_what_an_issue_report_needs(capsys):
    assert cli.main(["info"]) == 0
    told = dict(re.findall(r"^(\S[\w ]*?) {2,}(.+)$", capsys.readouterr().out, re.M))
    assert told["dcfm_ros"] == dcfm_ros.__version__
    assert told["Engine"] == "torch (DCFM_ENGINE says so)"  # as all tests have it
    assert told["Devices"].startswith("cpu")
    assert {"Processor", "System", "Python", "torch", "numpy", "ROS"} <= set(told)


def test_models_are_listed_with_what_they_cost(capsys):
    assert cli.main(["models"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert [
        word in head for word in ("name", "mIoU on CamVid", "key frame, ms", "other frame, ms", "licence")
    ]
    for name, row in zip(MODELS, rows, strict=False):
        assert row.split()[0] == name and "512×384" in row and "CC BY-NC 4.0" in row


@pytest.mark.parametrize("name", MODELS)
def test_a_name_stands_for_its_file(name, capsys):
    assert cli.main(["info", name]) == 0
    assert capsys.readouterr().out.startswith(MODELS[name])
    assert weights_path(f"{name}.safetensors") == Path(f"{name}.safetensors")  # a path is a path
    assert default_weights() == weights_path("") == weights_path(None)


def test_info_tells_what_is_in_a_weights_file(capsys, tmp_path):
    assert cli.main(["info", str(default_weights())]) == 0
    told = capsys.readouterr().out
    assert "classes      11: sky, building, " in told and "sha256 " in told and "input size   512×384" in told
    (tmp_path / "other.safetensors").write_text("no weights")
    assert cli.main(["info", str(tmp_path / "other.safetensors")]) == 2
    assert "is damaged or not a safetensors file" in capsys.readouterr().err
