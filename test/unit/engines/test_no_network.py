"""Nothing that this package does reaches for the network, or writes into the user's home, without being asked to."""

from __future__ import annotations

import functools
import importlib.util
import ipaddress
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

# What C libraries do, all processes of a run, goes to a file: the guard below sees Python's own sockets only.
TRACE = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"]
ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
DDS_GROUP = "239.255.0.1"
NAMES = 53  # the port of DNS: whoever asks there wants to go elsewhere

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
        "import dcfm_lab.bench.contestants, dcfm_lab.commands.bench, dcfm_ros.measure.machine as m; m.this_machine()",
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
    "demo": (
        ("rclpy", "numba", "dcfm_ros.msg"),
        BUILD
        + """
raise SystemExit(
    main("demo --frames 5 --size 96x64 --weights model.safetensors --set engine:=torch".split())
)
""",
    ),
    "node": (("rclpy", "dcfm_ros.msg"), "import dcfm_ros.node.main, dcfm_ros.node.node"),
    "node, start": (
        ("rclpy", "dcfm_ros.msg"),
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

SLOW = {"demo": pytest.mark.slow}


@functools.cache
def blind() -> str:
    """Why nothing can be seen of what C libraries do here, "" where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run([*TRACE, os.devnull, "true"], capture_output=True, text=True, check=False)
    return f"strace cannot be used here: {done.stderr.strip()}" if done.returncode or done.stderr else ""


def outside(trace: str) -> list[str]:
    """The lines that go to another machine, or ask for the address of one. DDS talks to this one, and to its group."""
    here = {
        address.address.partition("%")[0] for every in psutil.net_if_addrs().values() for address in every
    }
    return [
        line
        for line in trace.splitlines()
        for port, address in ADDRESS.findall(line)
        if int(port) == NAMES
        or not (ipaddress.ip_address(address).is_loopback or address in here or address == DDS_GROUP)
    ]


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        # UDP: nothing is sent. 192.0.2.0/24 is nobody's.
        ("libc.connect(s.fileno(), struct.pack('=HHI8x', 2, 9, 0x010200C0), 16)", True),
        ("libc.connect(s.fileno(), struct.pack('=HHI8x', 2, 9, 0x0100007F), 16)", False),
        ("libc.connect(s.fileno(), struct.pack('=H2sI8x', 2, bytes([0, 53]), 0x0100007F), 16)", True),
    ],
)
def test_the_guard_sees_c_libraries(code: str, seen: bool, tmp_path: Path) -> None:
    if why := blind():
        pytest.skip(why)
    begin = (
        "import ctypes, socket, struct; libc = ctypes.CDLL(None); s = socket.socket(type=socket.SOCK_DGRAM); "
    )
    subprocess.run([*TRACE, str(tmp_path / "trace"), sys.executable, "-c", begin + code], check=True)
    assert bool(outside((tmp_path / "trace").read_text())) == seen


@pytest.mark.parametrize("way", [pytest.param(way, marks=SLOW.get(way, ())) for way in WAYS])
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
    traced = [] if blind() else [*TRACE, str(tmp_path / "trace")]
    done = subprocess.run(
        [*traced, sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "log").exists(), (tmp_path / "log").read_text()
    assert done.returncode == 0, done.stderr
    assert not (home / "intel").exists()
    if why := blind():
        pytest.skip(f"only Python's own sockets were watched, and they kept quiet: {why}")
    assert outside((tmp_path / "trace").read_text()) == []
