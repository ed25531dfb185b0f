"""Chooses the engine."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dcfm_ros.arrays import Image
from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig, installed
from dcfm_ros.engines.gpu import first_gpu
from dcfm_ros.engines.graph.base import Library
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.groups import grouped
from dcfm_ros.model.shipped import weights_path

logger = logging.getLogger(__name__)


def create_engine(
    model_or_path: DCFM | str | Path, config: EngineConfig | None = None, *, frames: Sequence[Image] = ()
) -> Engine:
    """An engine that runs the model, or the model of that name or in that weights file.

    What `auto` means. device: the first CUDA GPU where torch can use one, else the CPU. engine: on a GPU torch; on a CPU
    OpenVINO, else ONNX Runtime, else torch, the first that is installed. DCFM_ENGINE in the environment names another
    one. precision: fp32, with TensorRT fp16.

    The engine keeps a copy of a model given as a module: training it further does not change what the engine computes.
    An engine other than torch builds its graphs when it first sees an input size (see `Engine.prepare`), keeps them in
    a cache, and falls back to torch when it fails. frames: what int8 is calibrated on, at the input size; not needed
    when the cache has the graphs.
    Raises DcfmError for an engine, a device or a precision that is not available here.
    """
    config = config or EngineConfig()
    model = model_or_path if isinstance(model_or_path, DCFM) else load_model(weights_path(model_or_path))
    if config.classes_file:
        model = grouped(model, config.classes_file)
    name, why = config.engine, "asked for"
    if name == "auto":
        name, why = choose(config)
    engine = _engine(name, model, config, frames)
    runs_on = f"engine {engine.name} ({why}), device {engine.device}, precision {engine.precision}"
    logger.info("model '%s' runs on %s", engine.card.name, runs_on)
    return engine


def choose(config: EngineConfig) -> tuple[str, str]:
    """The engine that `auto` takes, and why. Raises DcfmError for an unknown DCFM_ENGINE."""
    named = os.environ.get("DCFM_ENGINE", "auto")
    if named != "auto":
        return EngineConfig(engine=named).engine, "DCFM_ENGINE says so"
    if config.device.startswith("cuda") or (config.device == "auto" and first_gpu()):
        return "torch", "the device is a GPU"
    if config.precision in ("fp16", "bf16", "int8") and not installed("openvino"):
        return "torch", f"openvino, which has {config.precision}, is not installed: pip install openvino"
    for name in ("openvino", "onnxruntime"):
        if installed(name):
            return name, "the fastest on a CPU that is installed"
    return "torch", "neither openvino nor onnxruntime, which are faster, is installed: pip install openvino"


def _engine(name: str, model: DCFM, config: EngineConfig, frames: Sequence[Image]) -> Engine:
    from dcfm_ros.engines.torch.engine import TorchEngine

    if name == "torch":
        return TorchEngine(model, config)
    from dcfm_ros.engines.fallback import FallbackEngine
    from dcfm_ros.engines.graph.engine import GraphEngine

    graphs = GraphEngine(model, config, _library(name, config), frames)
    return FallbackEngine(graphs, graphs.model, replace(config, engine=name))


def _library(name: str, config: EngineConfig) -> Library:
    if name == "openvino":
        from dcfm_ros.engines.graph.openvino import OpenVinoLibrary

        return OpenVinoLibrary(config)
    from dcfm_ros.engines.graph.onnxruntime import OnnxRuntimeLibrary

    return OnnxRuntimeLibrary(name, config)
