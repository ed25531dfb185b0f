"""What all tests share: where the data is, and which tests this machine cannot run."""

import functools
import importlib.util
import json
import os
import signal
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# The tests' ROS graphs are their own: other runs, and robots on the network, neither hear nor disturb them.
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

# Tests that do not name an engine, and the processes they start, build none.
os.environ.setdefault("DCFM_ENGINE", "torch")

# An example may take as long as a busy machine makes it.
hypothesis.settings.register_profile("dcfm", deadline=None)
hypothesis.settings.load_profile("dcfm")

# Started in the background, as some continuous integration does it, a process ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROS_MODULES = ("rclpy", "dcfm_ros.msg")
# Mark (and, for the first two, folder of test/ whose tests get it) -> what makes it impossible here, "" if nothing.
NEEDS = {
    "ros": lambda: _absent(*ROS_MODULES),
    "launch": lambda: _absent(*ROS_MODULES, "launch_ros"),
    "gpu": lambda: "" if _has_gpu() else "no CUDA GPU",
}


@pytest.fixture(scope="session")
def video_consistency():
    """Of a whole video at once."""
    from dcfm_ros.measure.metrics import VideoConsistency

    def value(predictions, targets, window, num_classes=None):
        meter = VideoConsistency((window,), num_classes)
        for prediction, target in zip(predictions, targets, strict=True):
            meter.add(prediction, target)
        return meter.value(window)

    return value


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the data sets (`camvid/`): DCFM_DATA, or ../shared/data beside the source tree."""
    return _folder_or_skip("DCFM_DATA", ROOT.parent / "shared" / "data")


@pytest.fixture(scope="session")
def reference_root() -> Path:
    """The folder with the published implementation's numbers: DCFM_REFERENCE, or ../shared/reference."""
    return _folder_or_skip("DCFM_REFERENCE", ROOT.parent / "shared" / "reference")


@pytest.fixture(scope="session")
def tensor_of(reference_root):
    """What makes the reference's weights: from a tensor's published name and shape to its numbers."""
    spec = importlib.util.spec_from_file_location("reference_weights", reference_root / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.reference_tensor


@pytest.fixture(scope="session")
def reference_model(reference_root, tensor_of):
    """What makes a case of the reference: from its name to (the model with the case's weights, the facts of the case)."""
    from dcfm_lab.learn.published import from_published

    def made(name):
        config = json.loads((reference_root / "cases" / f"{name}.json").read_text())
        encoder, decoder = (
            {tensor: tensor_of(tensor, shape) for tensor, shape in config["tensors"][part].items()}
            for part in ("encoder", "decoder")
        )
        return from_published(encoder, decoder, config), config

    return made


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """What writes a random model: from a seed, fields of its ModelConfig and of its card to the path of the weights file."""
    import torch

    from dcfm_ros.model.checkpoint import save_model
    from dcfm_ros.model.config import ModelCard, ModelConfig
    from dcfm_ros.model.dcfm import build_model

    def made(seed, *, config=None, **card):
        torch.manual_seed(seed)
        path = tmp_path_factory.mktemp("weights") / f"{card.get('name', 'random')}.safetensors"
        save_model(build_model(ModelConfig(**(config or {})), ModelCard(**card) if card else None), path)
        return path

    return made


def pytest_pycollect_makemodule(module_path, parent):
    """Modules of test/ros and test/launch import ROS at their top: where it is missing they are not even read."""
    if why_not(module_path.parent.name):
        return SkippedModule.from_parent(parent, path=module_path)
    return None


class SkippedModule(pytest.File):
    """A test module that this machine cannot import; it counts as one skip, with the reason."""

    def collect(self):
        pytest.skip(why_not(self.path.parent.name), allow_module_level=True)


def pytest_itemcollected(item):
    if item.path.parent.name in ("ros", "launch"):
        item.add_marker(item.path.parent.name)
    for mark in NEEDS:
        if item.get_closest_marker(mark) and why_not(mark):
            item.add_marker(pytest.mark.skip(reason=why_not(mark)))


@functools.lru_cache
def why_not(mark: str) -> str:
    """Why tests with this mark cannot run here; empty when they can, or when the mark needs nothing."""
    return NEEDS[mark]() if mark in NEEDS else ""


def _absent(*modules: str) -> str:
    for module in modules:
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            return f"{module} is not installed"
    return ""


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _folder_or_skip(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; set {variable} to the folder that has it")
    return folder
