"""The node as a process: how it starts, how it refuses to, and how it ends."""

import os
import re
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from processes import SOURCE, NodeProcess
from ros_graph import image, picture, stamp_of
from sensor_msgs.msg import Image

from dcfm_ros.model.safetensors_file import read_safetensors, write_safetensors

FIRST_FRAMES = 10_000  # far more than are sent while a process starts
SHARED_MEMORY = "/dev/shm"

# As the executable, but once frames come its common branch hangs like a driver in trouble.
HANGING = """
import threading
from dcfm_ros.engines.torch.engine import TorchEngine
from dcfm_ros.node.main import main
common = TorchEngine.common
def hang(self, independent):
    if threading.current_thread() is threading.main_thread():
        return common(self, independent)
    print("HANGS", flush=True)
    threading.Event().wait()
TorchEngine.common = hang
main()
"""

# As the executable, but loading the network takes forever.
LOADING = """
import ctypes, threading
from dcfm_ros.node import node
from dcfm_ros.node.main import main
def create_engine(*arguments):
    print("LOADS", flush=True)
    {waits}
node.warm_engine = create_engine
main()
"""

# In a library, where no Python runs, and which a signal does not wake.
DEADLOCK = (
    "lock = ctypes.create_string_buffer(64); [ctypes.CDLL(None).pthread_mutex_lock(lock) for _ in range(2)]"
)

# As the executable, but its engine has something to keep.
BUILDING = """
from dcfm_ros.cache import cached
from dcfm_ros.node import node
from dcfm_ros.node.main import main
create = node.warm_engine
def create_engine(*arguments):
    print("BUILT", cached("graphs", {}, lambda folder: (folder / "graph").write_text("")), flush=True)
    return create(*arguments)
node.warm_engine = create_engine
main()
"""


@pytest.fixture
def process(graph, weights, tmp_path):
    """Starts the node's process in the graph's namespace."""
    started = []

    def start(**parameters):
        values = {"weights": str(weights), "threads": 1, "engine": "torch", **parameters}
        node = NodeProcess(tmp_path / f"node{len(started)}.log", namespace=graph.namespace, **values)
        started.append(node)
        return node

    yield start
    for node in started:
        node.__exit__()


def first_mask(graph, node):
    """(camera, masks) once the process has made its first mask."""
    probe = graph.probe
    camera, masks = probe.camera(), probe.listen(Image, "segmentation/mask")
    probe.until(lambda: camera.get_subscription_count() or node.status is not None, "the node to subscribe")
    for i in range(FIRST_FRAMES):
        assert node.status is None, node.output
        camera.publish(image(picture(i), stamp_of(i)))
        with probe.changed:
            probe.changed.wait_for(lambda: masks.messages, 0.05)
        if masks.messages:
            return camera, masks
    raise AssertionError(f"no mask; the node said:\n{node.output}")


def shared_memory():
    """Names of the segments that Fast DDS holds for a participant's own messages, of all processes."""
    names = os.listdir(SHARED_MEMORY) if os.path.isdir(SHARED_MEMORY) else []
    return {name for name in names if re.fullmatch("fastdds_[0-9a-f]{16}", name)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(graph, process, number):
    before = shared_memory()
    node = process(mode="background", key_interval=1)
    camera, _ = first_mask(graph, node)
    for i in range(FIRST_FRAMES, FIRST_FRAMES + 5):  # so that it has something to do
        camera.publish(image(picture(i), stamp_of(i)))
    assert node.end(number) == 0, node.output
    assert "Traceback" not in node.output and "ERROR" not in node.output, node.output
    # Up to 64 MiB each with config/fastdds.xml: some restarts would fill the machine.
    assert shared_memory() <= before


@pytest.mark.parametrize("waits", ["threading.Event().wait()", DEADLOCK], ids=["in Python", "in a library"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_it_loads(graph, process, waits, number):
    before = shared_memory()
    node = process(code=LOADING.format(waits=waits))
    graph.probe.until(lambda: "LOADS" in node.output, "the node to load its weights")
    assert node.end(number) == 0, node.output
    assert "Traceback" not in node.output, node.output
    assert shared_memory() <= before


def test_a_signal_ends_it_while_large_images_arrive(graph, process):
    node = process()
    camera, _ = first_mask(graph, node)
    large = np.zeros((2160, 3840, 3), np.uint8)
    for i in range(3):
        camera.publish(image(large, stamp_of(FIRST_FRAMES + i)))
    assert node.end(signal.SIGTERM) == 0, node.output
    assert "Traceback" not in node.output, node.output


@pytest.mark.parametrize("parameters, status", [({}, 0), ({"device": "tpu"}, 1)])
def test_where_the_cache_cannot_be_written_it_leaves_nothing_behind(
    graph, process, tmp_path, monkeypatch, parameters, status
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(temporary))
    node = process(code=BUILDING, **parameters)
    if status == 0:
        graph.probe.until(lambda: "images from" in node.output, "the node to be configured")
        node.end()
    assert node.wait() == status, node.output
    assert f"BUILT {temporary}/dcfm-" in node.output
    assert list(temporary.glob("dcfm-*")) == []


@pytest.mark.parametrize("mode", ["inline", "background"])
def test_a_signal_ends_it_while_the_network_hangs(graph, process, mode):
    node = process(code=HANGING, mode=mode)
    camera, masks = graph.probe.camera(), graph.probe.listen(Image, "segmentation/mask")
    graph.probe.matched(camera)
    for i in range(FIRST_FRAMES):
        camera.publish(image(picture(i), stamp_of(i)))
        with graph.probe.changed:
            graph.probe.changed.wait(0.05)
        if "HANGS" in node.output:
            break
    assert "HANGS" in node.output
    assert node.end() == 0, node.output  # the worker would never end
    assert masks.messages == []


def last_line(output):
    return output.strip().splitlines()[-1]


def truncated(path, weights):
    path.write_bytes(weights.read_bytes()[:5000])


def without_configuration(path, weights):
    tensors = read_safetensors(weights)[0]
    with path.open("wb") as file:
        write_safetensors(file, tensors, {})


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path, weights: None, ["given.safetensors", "does not exist"]),
        (truncated, ["given.safetensors", "damaged"]),
        (without_configuration, ["dcfm convert"]),
    ],
)
def test_unusable_weights_end_the_start_with_one_line(process, weights, tmp_path, make, words):
    path = tmp_path / "given.safetensors"
    make(path, weights)
    refused(process(weights=str(path)), words)


def refused(node, words):
    """The process has ended and said why in its last line."""
    assert node.wait() == 1
    for word in ["FATAL", *words]:
        assert word in last_line(node.output)
    assert "Traceback" not in node.output


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"key_intervall": 5}, ["key_intervall", "unknown parameter"]),
        ({"overlay_alpha": 3.0}, ["overlay_alpha is 3.0", "from 0 to 1"]),
        ({"input_depth": "deep"}, ["input_depth", "a whole number"]),
        ({"device": "tpu"}, ["tpu"]),
        ({"image_topics": ["a", "a"]}, ["image_topics", "twice"]),
    ],
)
def test_wrong_parameters_end_the_start_with_one_line(process, parameters, words):
    refused(process(**parameters), words)


def test_a_parameters_file_that_is_not_there_ends_the_start_with_one_line(process, tmp_path):
    node = process(arguments=["--params-file", str(tmp_path / "nowhere.yaml")])
    assert node.wait() == 1
    assert "dcfm_node: " in last_line(node.output) and "nowhere.yaml" in last_line(node.output)
    assert "Traceback" not in node.output


def test_without_autostart_a_lifecycle_manager_drives_it(graph, process):
    node = process(autostart=False)
    probe = graph.probe

    def state():
        return probe.call(GetState, "dcfm/get_state", GetState.Request()).current_state.label

    def change(transition):
        request = ChangeState.Request(transition=Transition(id=transition))
        return probe.call(ChangeState, "dcfm/change_state", request).success

    assert state() == "unconfigured"
    assert change(Transition.TRANSITION_CONFIGURE) and state() == "inactive"
    assert change(Transition.TRANSITION_ACTIVATE) and state() == "active"
    first_mask(graph, node)
    assert change(Transition.TRANSITION_DEACTIVATE) and state() == "inactive"
    assert change(Transition.TRANSITION_CLEANUP) and state() == "unconfigured"
    assert change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN) and state() == "finalized"
    assert node.end() == 0, node.output


@pytest.mark.parametrize(
    "arguments, limit, told",
    [
        (("-p", "use_sim_time:=1"), None, "use_sim_time"),
        ((), (resource.RLIMIT_NOFILE, 20), "20 open files; the node needs at least 64"),
        ((), (resource.RLIMIT_AS, 1 << 30), "bytes of address space; the node needs"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_a_line(arguments, limit, told):
    done = subprocess.run(
        [sys.executable, "-m", "dcfm_ros.node.main", "--ros-args", *arguments],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: limit and resource.setrlimit(limit[0], (limit[1], limit[1])),
    )
    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).splitlines()
    assert told in line


def test_a_library_that_is_broken_is_named(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "dcfm_ros.node.main"],
        cwd=SOURCE,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "libGL.so.1" in line
