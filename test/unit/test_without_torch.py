"""What only describes itself (configurations, parameters, options) is there at once: torch takes seconds to import."""

import subprocess
import sys

import pytest

LIGHT = (
    "dcfm_ros.config",
    "dcfm_ros.stamps",
    "dcfm_ros.model.config",
    "dcfm_ros.engines.config",
    "dcfm_ros.stream.config",
    "dcfm_ros.stream.trigger_grammar",
    "dcfm_lab.learn.config",
    "dcfm_lab.evaluation.config",
    "dcfm_ros.node.parameters",
    "dcfm_ros.node.arguments",
    "dcfm_ros.node.rviz_layout",
    "dcfm_ros.commands.node",
    "dcfm_ros.commands.info",
)
HEAVY = "{'torch', 'numba', 'rclpy'} & set(sys.modules)"


def loaded(statements):
    """Which heavy packages are imported after these statements."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statements}\nprint({HEAVY} or 'none', file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.strip()


def test_configurations_need_neither_torch_nor_ros():
    assert loaded("".join(f"import {name}\n" for name in LIGHT)) == "none"


def test_the_launch_files_need_no_torch():
    pytest.importorskip("launch_ros")  # which may import rclpy
    assert loaded("import dcfm_ros.node.launch_parts") in ("none", "{'rclpy'}")


@pytest.mark.parametrize("command", ["", "replay", "demo", "train", "evaluate", "bench", "export"])
def test_help_needs_no_torch(command):
    program = (
        "from dcfm_ros.cli import main\ntry:\n    main([*{words}, '--help'])\nexcept SystemExit:\n    pass"
    )
    assert loaded(program.format(words=[command] if command else [])) == "none"
