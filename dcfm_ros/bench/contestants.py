"""What is compared: each labels a frame in its way, from an image in memory to a mask in memory, and says what it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.bench.frames import Calibration
from dcfm_ros.bench.published import PublishedOrder
from dcfm_ros.bench.result import DCFM as OURS
from dcfm_ros.bench.result import PUBLISHED, SEGFORMER, TUNED
from dcfm_ros.bench.segformer import TunedRunner, TunedSegFormer, UserSegFormer
from dcfm_ros.bench.stages import CPU
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.engines.gpu import first_gpu
from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.rounds import TOTAL, Laps
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import DCFM, build_model
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.stopwatch import Stopwatch
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF

FRAME_NS = 66_666_667
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
    height) of image, network input and mask; (0, 0): the model card's. segformers: widths of the heads of the SegFormers
    compared with; empty: none, as for backbones that SegFormer does not have.
    """

    name: str
    weights: str = ""
    config: ModelConfig | None = None
    size: Size = (0, 0)
    segformers: tuple[int, ...] = ()

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


@dataclass(frozen=True)
class Entry:
    """One contestant by its name. width: of a SegFormer's head. compiled: by torch.compile."""

    kind: str
    engine: str = "torch"
    precision: str = "fp32"
    width: int = 0
    compiled: bool = False

    @property
    def detail(self) -> str:
        if self.compiled:
            return "torch.compile"
        return f"head of {self.width} channels" if self.width else ""


class Contestant(Protocol):
    """mask: of the last frame. engine, precision: what it runs on in fact."""

    mask: Mask
    engine: str
    precision: str

    def key(self, rgb: Image) -> Laps:
        """A frame that computes everything."""

    def other(self, rgb: Image) -> Laps:
        """A frame that borrows the last key frame's common feature."""


class Published:
    """The published order of operations."""

    engine, precision = "torch", "fp32"

    def __init__(self, model: DCFM, device: torch.device) -> None:
        self._network = PublishedOrder(model, device)
        self._common: Any = None
        self.mask: Mask = np.empty((0, 0), np.uint8)

    def key(self, rgb: Image) -> Laps:
        self.mask, self._common = self._network.key_frame(rgb)
        return self._network.laps

    def other(self, rgb: Image) -> Laps:
        self.mask = self._network.other_frame(rgb, self._common)
        return self._network.laps


class Stream:
    """This package's stream, key frames inline and only where they are asked for, without measuring reuse agreement."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.precision = engine.name, engine.precision
        config = StreamConfig(mode="inline", agreement=False, max_age_ms=NEVER_MS, **OFF)
        self._stream = StreamSegmenter(engine, config)
        self._stamp_ns = 0
        self.mask: Mask = np.empty((0, 0), np.uint8)

    def key(self, rgb: Image) -> Laps:
        self._stream.request_refresh("bench")
        return self._step(rgb, key=True)

    def other(self, rgb: Image) -> Laps:
        return self._step(rgb, key=False)

    def _step(self, rgb: Image, *, key: bool) -> Laps:
        self._stamp_ns += FRAME_NS
        watch = Stopwatch()
        result = self._stream.step(rgb, self._stamp_ns)
        total = watch.total()
        if result.key_frame is not key:
            raise DcfmError(
                "the stream computed a key frame where none was asked for, or reused one where one was"
            )
        self.mask = result.mask
        spent = result.timing
        laps = {"preprocess": spent.preprocess, "align": spent.align, "independent": spent.independent}
        if key:
            laps["common"] = spent.common
        return {**laps, "fuse": spent.fuse, "label_map": spent.label_map, TOTAL: total}


class PerFrame:
    """A network that computes everything on every frame."""

    def __init__(self, network: UserSegFormer | TunedRunner, engine: str) -> None:
        self.engine, self.precision = engine, "fp32"
        self._network = network
        self.mask: Mask = np.empty((0, 0), np.uint8)

    def key(self, rgb: Image) -> Laps:
        self.mask = self._network.frame(rgb)
        return self._network.laps

    def other(self, rgb: Image) -> Laps:
        return self.key(rgb)


class Builder:
    """Makes the contestants of one setting; what they share is made once.

    Those in plain torch run on the GPU that this package's engines take by themselves, too.
    """

    def __init__(self, setting: Setting, *, threads: int = 0) -> None:
        self.setting = setting
        self.device = first_gpu() or CPU
        self.model = setting.model()
        self._threads = threads
        self._users: dict[int, UserSegFormer] = {}

    def build(self, entry: Entry) -> Contestant:
        """Raises DcfmError, with the reason, for what cannot run here."""
        if entry.kind == PUBLISHED:
            return Published(self.model, self.device)
        if entry.kind == OURS:
            return self._stream(entry)
        user = self._user(entry.width)
        if entry.kind == SEGFORMER:
            return PerFrame(user, "torch")
        assert entry.kind == TUNED
        network = TunedSegFormer(self.model.config.backbone, user)
        runner = TunedRunner(network, entry.engine, self.model.card.input_size, self._threads)
        return PerFrame(runner, entry.engine)

    def _stream(self, entry: Entry) -> Stream:
        config = EngineConfig(entry.engine, entry.precision, threads=self._threads, compile=entry.compiled)
        size = self.model.card.input_size
        engine = create_engine(
            self.model, config, frames=Calibration(size) if config.precision == "int8" else ()
        )
        engine.prepare(size)
        got = (engine.name, engine.precision)
        if got != (entry.engine, entry.precision) or engine.problem:
            raise DcfmError(engine.problem or f"runs as {got[0]} {got[1]} here")
        return Stream(engine)

    def _user(self, width: int) -> UserSegFormer:
        if width not in self._users:
            torch.manual_seed(SEED)
            config = self.model.config
            self._users[width] = UserSegFormer(config.backbone, config.num_classes, width, self.device)
        return self._users[width]


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


def entries_of(
    setting: Setting, choices: Sequence[tuple[str, str]], *, compiled: bool = False
) -> list[Entry]:
    """The published order, ours on each (engine, precision), SegFormer as a user runs it and, on a CPU, tuned.

    compiled: ours through torch.compile, too, in each precision that torch was chosen with.
    """
    chosen = set() if on_gpu() else {engine for engine, _ in choices}
    engines = [engine for engine in TunedRunner.ENGINES if engine in chosen]
    entries = [Entry(PUBLISHED), *(Entry(OURS, engine, precision) for engine, precision in choices)]
    if compiled:
        torchs = [precision for engine, precision in choices if engine == "torch"]
        entries += [Entry(OURS, "torch", precision, compiled=True) for precision in torchs]
    for width in setting.segformers:
        entries.append(Entry(SEGFORMER, width=width))
        entries += [Entry(TUNED, engine, width=width) for engine in engines]
    return entries
