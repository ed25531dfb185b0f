"""Passes compute what the model computes: in bands on a CPU, and on a GPU without a need of the CPU in between."""

import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dcfm_ros.engines.torch import passes as torch_passes
from dcfm_ros.engines.torch.passes import Passes
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.model.fold import fold

MODELS = (
    ModelConfig(backbone="mobilenetv2", num_classes=5),
    ModelConfig(backbone="efficientnet_lite2", num_classes=5),
    ModelConfig(backbone="mit_b0", num_classes=5, independent_channels=32),
    ModelConfig(backbone="mit_b0", num_classes=5, independent_feature="stage", classifier="mlp"),
    ModelConfig(backbone="resnet18", num_classes=5, common_channels=64, classifier="mlp"),
    ModelConfig(backbone="resnet18", num_classes=5, classifier="conv"),
)
READ_BY_THE_CPU = ("_local_scalar_dense", "nonzero", "masked_select", "equal")


class NeedsOfTheCpu(TorchDispatchMode):
    """Keeps the names of operations that bring numbers from the CPU to a GPU, or wait for those of a GPU."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.name().partition("::")[2].partition(".")[0]
        has_input = any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves((args, kwargs)))
        if not has_input or name == "lift_fresh" or name in READ_BY_THE_CPU:
            self.found.append(name)
        return function(*args, **kwargs)


@pytest.mark.parametrize("config", MODELS, ids=lambda config: f"{config.backbone}-{config.classifier}")
@pytest.mark.parametrize("size", [(64, 96), (70, 130)])
@torch.inference_mode()
def test_passes_work_on_their_inputs_alone(config, size):
    passes, image = Passes(fold(build_model(config))), torch.zeros(*size, 3, dtype=torch.uint8)
    for _ in range(2):  # as before a capture, the first run may make what is kept
        with NeedsOfTheCpu() as needs:
            (independent,) = passes.independent(image)
            (common,) = passes.common(independent)
            passes.logits(common, independent)
    assert not needs.found


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + torch.tensor([1.0]),
        lambda x: x + torch.arange(3),
        lambda x: x * float(x.max()),
        lambda x: x[x > 0],
    ],
)
def test_what_needs_the_cpu_is_seen(function):
    with NeedsOfTheCpu() as needs:
        function(torch.ones(3))
    assert needs.found


@pytest.mark.parametrize("config", MODELS, ids=lambda config: f"{config.backbone}-{config.classifier}")
@pytest.mark.parametrize("band", [1, 5, 100])
@torch.inference_mode()
def test_logits_in_bands_are_the_models(config, band, monkeypatch):
    asked = []
    monkeypatch.setattr(torch_passes, "band_rows", lambda rows, *_: asked.append(rows) or min(rows, band))
    torch.manual_seed(0)
    model = fold(build_model(config))
    first, second = (model.encode_independent(60 * torch.randn(1, 3, 65, 97)) for _ in range(2))
    prepared = model.prepare_common(model.encode_common(None, first))
    passes = Passes(model)
    (logits,) = passes.logits(prepared, second)
    expected = model.logits_prepared(prepared, second)
    torch.testing.assert_close(logits, expected, rtol=0, atol=2e-5 * float(expected.std()))
    assert bool(asked) == passes.in_bands


FRAMES = """
import resource
import numpy as np
import torch
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model
engine = create_engine(build_model(ModelConfig(num_classes=5)), EngineConfig(engine="torch", device="cpu"))
image = np.zeros((720, 960, 3), np.uint8)
common = engine.common(engine.independent(image))
def frame():
    engine.logits(common, engine.independent(image))
for _ in range(3):
    frame()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    frame()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 5, image.nbytes // resource.getpagesize())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for a process's page faults")
def test_the_memory_of_a_frame_is_that_of_the_one_before():
    done = subprocess.run([sys.executable, "-c", FRAMES], capture_output=True, text=True, check=True)
    faults, pages_of_an_image = map(int, done.stdout.split())
    assert faults < pages_of_an_image, "its feature maps alone are many times as large"
