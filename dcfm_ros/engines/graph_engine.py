"""An engine over exported graphs, whichever library runs them."""

from __future__ import annotations

import copy
import hashlib
import logging
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcfm_ros import __version__
from dcfm_ros.engines.base import Image, Mask
from dcfm_ros.engines.cache import cached
from dcfm_ros.engines.check import check_graphs
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.graphs import GRAPHS, export_graphs
from dcfm_ros.engines.label_map import label_array
from dcfm_ros.engines.library import Array, Library, Runner
from dcfm_ros.errors import DcfmError
from dcfm_ros.model import DCFM
from dcfm_ros.model.config import to_json

logger = logging.getLogger(__name__)

Size = tuple[int, int]


@dataclass(frozen=True)
class Feature:
    """A handle. values: an output of one of GRAPHS. size: (width, height) of the frame it comes from."""

    values: Array
    size: Size

    def __add__(self, other: Feature) -> Feature:
        return Feature(self.values + other.values, self.size)


class GraphEngine:
    """Engine over a library. Its graphs have one input size: those of a size are built when it is first seen."""

    problem = ""

    def __init__(
        self, model: DCFM, config: EngineConfig, library: Library, frames: Sequence[Image] = ()
    ) -> None:
        self.card = model.card
        self.name, self.device, self.precision = library.name, library.device, library.precision
        self.model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
        self._library = library
        self._frames = frames
        self._threads = config.threads
        self._common_threads = 0
        self._sets: dict[tuple[Size, int], dict[str, Runner]] = {}
        self._lock = threading.Lock()

    def prepare(self, size: Size) -> None:
        self._runners(size)

    def independent(self, rgb: Image) -> Feature:
        size = rgb.shape[1], rgb.shape[0]
        (values,) = self._runners(size)["independent"](_batch(rgb))
        return Feature(values, size)

    def common(self, independent: Feature) -> Feature:
        (values,) = self._runners(independent.size)["common"](independent.values)
        return Feature(values, independent.size)

    def common_slices(self, independent: Feature, pieces: int) -> Generator[None, None, Feature]:
        common = self.common(independent)
        yield
        return common

    def background(self, threads: int) -> GraphEngine:
        if threads < 1:
            raise DcfmError(f"threads is {threads}; a background engine needs one or more")
        handle = copy.copy(self)
        handle._common_threads = threads
        return handle

    def segment(self, rgb: Image, common: Feature) -> tuple[Feature, Feature]:
        size = rgb.shape[1], rgb.shape[0]
        independent, logits = self._runners(size)["segment"](_batch(rgb), common.values)
        return Feature(independent, size), Feature(logits, size)

    def logits(self, common: Feature, independent: Feature) -> Feature:
        (values,) = self._runners(independent.size)["logits"](common.values, independent.values)
        return Feature(values, independent.size)

    def label_map(
        self, logits: Feature, size: tuple[int, int], *, confidence: bool = False
    ) -> tuple[Mask, Mask | None]:
        return label_array(logits.values[0], size, confidence=confidence)

    def _runners(self, size: Size) -> dict[str, Runner]:
        key = size, self._common_threads
        runners = self._sets.get(key)
        if runners is None:
            with self._lock:
                if key not in self._sets:
                    self._sets[key] = self._load(size)
                runners = self._sets[key]
        return runners

    def _load(self, size: Size) -> dict[str, Runner]:
        shared = self._sets.get((size, 0))
        if shared is None:
            folder = self._built(size)
            shared = self._sets[size, 0] = _load_all(self._library, folder, self._threads)
        if not self._common_threads:
            return shared
        common = self._library.load(self._built(size) / "common.onnx", GRAPHS["common"], self._common_threads)
        return {**shared, "common": common}

    def _built(self, size: Size) -> Path:
        """The folder with the graphs for images of this size, from the cache."""
        library = self._library
        what = f"model '{self.card.name}' for {size[0]}x{size[1]}, {library.name} {library.precision}"

        def build(folder: Path) -> None:
            begin = time.perf_counter()
            logger.warning("building %s: up to some minutes, once", what)
            graphs = export_graphs(self.model, size, folder)
            library.build(graphs, self._frames)
            check_graphs(
                self.model, _load_all(library, folder, self._threads), size, library.precision, self._frames
            )
            logger.warning("built %s in %.0f s", what, time.perf_counter() - begin)

        key = {
            "weights": model_digest(self.model),
            "size": f"{size[0]}x{size[1]}",
            "engine": library.name,
            "precision": library.precision,
            "device": library.device,
            "library": library.version,
            "dcfm_ros": __version__,
        }
        return cached(f"{self.card.name}-{library.name}-{library.precision}-{size[0]}x{size[1]}", key, build)


def model_digest(model: DCFM) -> str:
    """A hash of all that a model computes with."""
    digest = hashlib.sha256((to_json(model.config) + to_json(model.card)).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().float().numpy()).data)
    return digest.hexdigest()


def _load_all(library: Library, folder: Path, threads: int) -> dict[str, Runner]:
    return {name: library.load(folder / f"{name}.onnx", spec, threads) for name, spec in GRAPHS.items()}


def _batch(rgb: Image) -> Array:
    # The libraries take no read-only memory, and an image often is a view of a message's bytes.
    return np.require(rgb, requirements=["C", "W"])[None]
