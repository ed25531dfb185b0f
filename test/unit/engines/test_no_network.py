"""Nothing that this package does reaches for the network, or writes into the user's home, without being asked to."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Runs at the start of every Python process, children included: attempts are logged, and fail.
GUARD = """
import os, socket

def refuse(self, address, *rest, **options):
    if self.family != socket.AF_UNIX:
        tell(address)
    return original(self, address, *rest, **options)

def tell(what):
    with open(os.environ["GUARD_LOG"], "a") as log:
        print(what, file=log)
    raise OSError("no network in this test")

original = socket.socket.connect
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.gethostbyname = lambda *rest, **options: tell(rest)
"""
BUILD = """
import torch
from dcfm_ros.cli import main
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model

card = ModelCard(name="random", input_size=(64, 64), licence="test")
save_model(build_model(ModelConfig(backbone="mobilenetv2"), card), "model.safetensors")
"""
WAYS = {
    "import": ((), "import dcfm_ros; from dcfm_ros import *"),
    "OpenVINO": (
        ("openvino", "onnx"),
        BUILD + 'main(["export", "model.safetensors", "--engines", "openvino"])',
    ),
    "ONNX Runtime": (
        ("onnxruntime", "onnx"),
        BUILD + 'main(["export", "model.safetensors", "-o", "out", "--engines", "onnxruntime"])',
    ),
    "NNCF": (
        ("openvino", "nncf"),
        "from dcfm_ros.engines.graph.openvino import import_openvino; import_openvino(); import nncf",
    ),
    "bench": (
        (),
        "import dcfm_ros.bench.contestants, dcfm_ros.commands.bench, dcfm_ros.measure.machine as m; m.this_machine()",
    ),
    "bench, run": (
        (),
        BUILD + 'main(["bench", "--weights", "model.safetensors", "--engines", "torch", "--seconds", "1"])',
    ),
    "replay": (
        (),
        BUILD
        + """
import cv2, numpy, os
os.mkdir("frames")
for index in range(3):
    cv2.imwrite(f"frames/{index}.png", numpy.full((64, 64, 3), 80 * index, numpy.uint8))
raise SystemExit(main(["replay", "frames", "--weights", "model.safetensors", "-o", "out"]))
""",
    ),
    "node": (("rclpy",), "import dcfm_ros.node.main, dcfm_ros.node.node"),
    "node, start": (
        ("rclpy",),
        BUILD
        + """
import os, signal
from dcfm_ros.node import main, node

class Node(node.DcfmNode):
    def start(self):
        started = super().start()
        os.kill(os.getpid(), signal.SIGINT)
        return started

node.DcfmNode = Node
main.main(["--ros-args", "-p", "weights:=model.safetensors"])
""",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_network(way: str, tmp_path: Path) -> None:
    needs, code = WAYS[way]
    for package in needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    home = tmp_path / "home"
    home.mkdir()
    # Continuous integration is where such packages keep quiet.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_", "PYTEST"))
    }
    environment |= {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "DCFM_CACHE": str(tmp_path / "cache"),
        "GUARD_LOG": str(tmp_path / "log"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "guard"), *filter(None, sys.path)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "log").exists(), (tmp_path / "log").read_text()
    assert done.returncode == 0, done.stderr
    assert not (home / "intel").exists()
