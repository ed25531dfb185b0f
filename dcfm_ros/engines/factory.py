"""Chooses the engine."""

from __future__ import annotations

import logging
from pathlib import Path

from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.model import DCFM, load_model

logger = logging.getLogger(__name__)


def create_engine(model_or_path: DCFM | str | Path, config: EngineConfig | None = None) -> Engine:
    """An engine that runs the model, or the model in the weights file.

    What `auto` means: engine: torch. device: the first CUDA GPU where torch can use one, else the CPU. precision: fp32.

    The engine keeps a copy of a model given as a module: training it further does not change what the engine computes.
    Raises DcfmError for a device or a precision that is not to be had here.
    """
    from dcfm_ros.engines.torch_engine import TorchEngine

    config = config or EngineConfig()
    model = model_or_path if isinstance(model_or_path, DCFM) else load_model(model_or_path)
    engine = TorchEngine(model, config)
    logger.info(
        "model '%s' runs on engine %s, device %s, precision %s (asked for: %s, %s, %s)",
        engine.card.name,
        engine.name,
        engine.device,
        engine.precision,
        config.engine,
        config.device,
        config.precision,
    )
    return engine
