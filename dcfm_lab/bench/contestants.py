"""What is compared: each labels a frame in its way, from an image in memory to a mask in memory, and says what it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import torch

from dcfm_lab.bench.frames import Calibration
from dcfm_lab.bench.result import DCFM as OURS
from dcfm_lab.measure.rounds import TOTAL, Laps
from dcfm_ros.arrays import Image
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.engines.gpu import first_gpu
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import DCFM, build_model
from dcfm_ros.stamps import FRAME_NS
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmentation import Stopwatch
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF

SEED = 0

CHOICES = (
    ("torch", "fp32"),
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
)
GPU_CHOICES = (("torch", "fp32"), ("torch", "fp16"), ("onnxruntime", "fp32"), ("tensorrt", "fp16"))
"""(engine, precision) worth looking at on a CPU and on a GPU."""


@dataclass(frozen=True)
class Setting:
    """What all contestants of a case have in common.

    weights: of a model that lies in a file; "" builds `config` with random weights, always the same. size: (width,
    height) of image, network input and mask; (0, 0): the model card's.
    """

    name: str
    weights: str = ""
    config: ModelConfig | None = None
    size: Size = (0, 0)

    def model(self) -> DCFM:
        """The model on its card's input size. Raises DcfmError for weights that cannot be read."""
        if self.weights:
            model = load_model(self.weights)
        else:
            torch.manual_seed(SEED)
            model = build_model(self.config or ModelConfig())
        if all(self.size):
            model.card = replace(model.card, input_size=self.size)
        return model

    @property
    def origin(self) -> str:
        """The weights in a word."""
        return Path(self.weights).name if self.weights else "random"


class Contestant(Protocol):
    """Labels one frame after another."""

    def key(self, rgb: Image) -> Laps:
        """A frame that computes everything."""

    def other(self, rgb: Image) -> Laps:
        """A frame that borrows the last key frame's common feature."""

    def labels(self, frames: Sequence[Image]) -> np.ndarray:
        """What the published method makes of the frames, uint8 N×H×W: the first is a key frame, the others are not."""


@dataclass(frozen=True)
class Entry:
    """One contestant by its name: here this package's stream on an engine. compiled: by torch.compile.

    per_frame: whether it computes everything on every frame.
    """

    engine: str = "torch"
    precision: str = "fp32"
    compiled: bool = False

    kind: ClassVar[str] = OURS
    per_frame: ClassVar[bool] = False

    @property
    def detail(self) -> str:
        """What else tells it from others of its kind."""
        return "torch.compile" if self.compiled else ""

    @property
    def names(self) -> tuple[str, str, str, str]:
        """Its kind, engine, precision and detail."""
        return self.kind, self.engine, self.precision, self.detail

    def build(self, setting: Setting, threads: int = 0) -> Contestant:
        """Raises DcfmError, with the reason, for what cannot run here."""
        config = EngineConfig(self.engine, self.precision, threads=threads, compile=self.compiled)
        model = setting.model()
        size = model.card.input_size
        engine = create_engine(model, config, frames=Calibration(size) if config.precision == "int8" else ())
        engine.prepare(size)
        got = (engine.name, engine.precision)
        if got != (self.engine, self.precision) or engine.problem:
            raise DcfmError(engine.problem or f"runs as {got[0]} {got[1]} here")
        return Stream(engine)


class Stream:
    """This package's stream, key frames inline and only where they are asked for, without measuring reuse agreement."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stream = _inline(engine, "auto")
        self._stamp_ns = 0

    def key(self, rgb: Image) -> Laps:
        self._stream.request_refresh("bench")
        return self._step(rgb, key=True)

    def other(self, rgb: Image) -> Laps:
        return self._step(rgb, key=False)

    def labels(self, frames: Sequence[Image]) -> np.ndarray:
        stream = _inline(self._engine, "none")
        return np.stack([stream.step(rgb, (1 + i) * FRAME_NS).mask for i, rgb in enumerate(frames)])

    def _step(self, rgb: Image, *, key: bool) -> Laps:
        self._stamp_ns += FRAME_NS
        watch = Stopwatch()
        result = self._stream.step(rgb, self._stamp_ns)
        total = watch.total()
        if result.key_frame is not key:
            raise DcfmError(
                "the stream computed a key frame that was not asked for, or did not compute one that was"
            )
        spent = result.timing
        laps = {"preprocess": spent.preprocess, "align": spent.align, "independent": spent.independent}
        if key:
            laps["common"] = spent.common
        return {**laps, "fuse": spent.fuse, "label_map": spent.label_map, TOTAL: total}


def _inline(engine: Engine, align: str) -> StreamSegmenter:
    config = StreamConfig(mode="inline", align=align, agreement=False, max_age_ms=NEVER_MS, **OFF)
    return StreamSegmenter(engine, config)


def on_gpu() -> bool:
    """Whether it is a CUDA GPU that this machine is measured with."""
    return first_gpu() is not None


def usual_choices(setting: Setting, *, random_int8: bool = False) -> list[tuple[str, str]]:
    """The (engine, precision) that are worth looking at for this setting on this machine.

    random_int8: int8 of random weights, too.
    """
    if on_gpu():
        return list(GPU_CHOICES)
    # int8 keeps the labels of trained networks; those of random ones hang on differences smaller than its steps.
    return [choice for choice in CHOICES if setting.weights or random_int8 or choice[1] != "int8"]


def entries_of(choices: Sequence[tuple[str, str]], *, compiled: bool = False) -> list[Entry]:
    """This package on each (engine, precision); compiled: through torch.compile, too, where torch was chosen."""
    entries = [Entry(engine, precision) for engine, precision in choices]
    if compiled:
        entries += [replace(entry, compiled=True) for entry in entries if entry.engine == "torch"]
    return entries
