"""An engine that has run once, so that no camera waits for what is done only once (compiling, allocating)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine as create_cold_engine
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.overlay import draw_overlay
from dcfm_ros.stream.segmenter import StreamSegmenter


def create_engine(weights: str | Path, config: EngineConfig, stream: StreamConfig) -> Engine:
    """Load the network and segment noise of the network's size twice, as a key frame and as another one; draw it once.

    Raises DcfmError: the weights cannot be loaded, or nothing here can run them.
    """
    engine = create_cold_engine(weights, config)
    width, height = stream.network_size(engine.card.input_size)
    engine.prepare((width, height))
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with StreamSegmenter(engine, replace(stream, mode="inline")) as segmenter:
        for stamp_ns in (1, 2):
            mask = segmenter.step(noise, stamp_ns).mask
    draw_overlay(noise, mask, engine.card)  # which compiles, too: else the first subscriber would wait
    return engine
