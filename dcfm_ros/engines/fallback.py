"""An engine that goes on with torch when it fails: a robot that sees slowly is better than one that is blind."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Generator
from typing import Any

import torch

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.graph.engine import Feature
from dcfm_ros.engines.torch.engine import TorchEngine
from dcfm_ros.errors import DcfmError, reason
from dcfm_ros.model.dcfm import DCFM

logger = logging.getLogger(__name__)


class _Shared:
    """What an engine and its background handles have in common: whether it has failed, and torch then."""

    def __init__(self, model: DCFM, config: EngineConfig, describe: str) -> None:
        self.problem = ""
        self.torch: TorchEngine | None = None
        self._model, self._config, self._describe = model, config, describe
        self._lock = threading.Lock()

    def fall_back(self, error: Exception) -> None:
        with self._lock:
            if self.torch is None:
                why = reason(error)
                problem = f"engine {self._describe} failed; torch takes over, which is slower ({why})"
                # What we say ourselves, as of a package that is missing, needs no traceback; a library's failure does.
                logger.error("%s", problem, exc_info=None if isinstance(error, DcfmError) else error)
                device = self._config.device
                if device != "cpu" and not device.startswith("cuda"):
                    device = "auto"
                self.torch = TorchEngine(
                    self._model, EngineConfig(device=device, threads=self._config.threads)
                )
                self.problem = problem


class FallbackEngine:
    """Runs `engine` until it raises anything; from then on torch, which takes over its features.

    name, device, precision: of what runs now. problem: why it is not the engine that was made, "" while it is.
    """

    def __init__(self, engine: Engine, model: DCFM, config: EngineConfig) -> None:
        self.card = engine.card
        self._engine = engine
        self._threads = 0
        self._shared = _Shared(model, config, f"{engine.name} ({engine.precision} on {engine.device})")
        self._torch_handle: TorchEngine | None = None

    @property
    def name(self) -> str:
        return self._now().name

    @property
    def device(self) -> str:
        return self._now().device

    @property
    def precision(self) -> str:
        return self._now().precision

    @property
    def problem(self) -> str:
        return self._shared.problem

    def prepare(self, size: Size, pieces: bool = False) -> None:
        self._run("prepare", size, pieces)

    def independent(self, rgb: Image) -> Any:
        return self._run("independent", rgb)

    def common(self, independent: Any) -> Any:
        return self._run("common", independent)

    def common_slices(self, independent: Any, pieces: int) -> Generator[None, None, Any]:
        return self._or_torchs(self._run("common_slices", independent, pieces), independent, pieces)

    def _or_torchs(
        self, slices: Generator[None, None, Any], independent: Any, pieces: int
    ) -> Generator[None, None, Any]:
        try:
            return (yield from slices)
        except Exception as error:
            self._shared.fall_back(error)
        return (yield from self._run("common_slices", independent, pieces))

    def align(self, common: Any, displacement: Any) -> Any:
        return self._run("align", common, displacement)

    def move(self, logits: Any, displacement: Any) -> Any:
        # A graph engine's move takes no library that might have failed.
        if isinstance(logits, Feature):
            return self._engine.move(logits, displacement)
        return self._torch().move(logits, displacement)

    def background(self, threads: int) -> FallbackEngine:
        handle = copy.copy(self)
        handle._engine = self._engine.background(threads)
        handle._threads, handle._torch_handle = threads, None
        return handle

    def logits(self, common: Any, independent: Any) -> Any:
        return self._run("logits", common, independent)

    def label_map(self, logits: Any, size: Size, *, confidence: bool = False) -> tuple[Mask, Mask | None]:
        if isinstance(logits, Feature):
            return self._engine.label_map(logits, size, confidence=confidence)
        return self._torch().label_map(logits, size, confidence=confidence)

    def _run(self, method: str, *arguments: Any) -> Any:
        if self._shared.torch is None:
            try:
                return getattr(self._engine, method)(*arguments)
            except Exception as error:
                self._shared.fall_back(error)
        engine = self._torch()
        return getattr(engine, method)(*[_for_torch(argument, engine) for argument in arguments])

    def _torch(self) -> TorchEngine:
        if self._torch_handle is None:
            engine = self._shared.torch
            assert engine is not None
            self._torch_handle = engine.background(self._threads) if self._threads else engine
        return self._torch_handle

    def _now(self) -> Engine:
        return self._engine if self._shared.torch is None else self._torch()


def _for_torch(value: Any, engine: TorchEngine) -> Any:
    """A feature of a graph engine as torch's; anything else is left as it is."""
    if not isinstance(value, Feature):
        return value
    return engine.adopt(torch.from_numpy(value.map()))
