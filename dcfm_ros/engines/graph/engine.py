"""An engine over exported graphs, whichever library runs them."""

from __future__ import annotations

import copy
import hashlib
import logging
import re
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.cache import cached, code_digest
from dcfm_ros.config import Size
from dcfm_ros.engines.bands import InBands, band_rows
from dcfm_ros.engines.base import MAX_PIECES
from dcfm_ros.engines.config import EngineConfig, checked_threads
from dcfm_ros.engines.graph.base import Array, Library, Runner, Values
from dcfm_ros.engines.graph.check import check_graphs
from dcfm_ros.engines.graph.cutting import Piece
from dcfm_ros.engines.graph.export import GRAPHS, export_graphs
from dcfm_ros.engines.graph.forms import is_pointwise
from dcfm_ros.engines.label_map.label_map import label_array
from dcfm_ros.engines.warp import displacement_on_grid, warp_array
from dcfm_ros.errors import reason
from dcfm_ros.model.config import to_json
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.slices import in_pieces
from dcfm_ros.version import __version__

logger = logging.getLogger(__name__)


KEPT_SETS = 4
"""Of graphs, and of common branches in pieces, those used last: each holds the weights and scratch memory for one input size
and number of threads."""


@dataclass(frozen=True)
class Feature:
    """A handle. values: an output of one of GRAPHS. size: (width, height) of the frame it comes from."""

    values: Values
    size: Size

    def __add__(self, other: Feature) -> Feature:
        return replace(self, values=np.asarray(self.values) + np.asarray(other.values))

    def map(self) -> Array:
        """The feature, N×C×h×w, contiguous."""
        return np.ascontiguousarray(np.asarray(self.values).transpose(0, 3, 1, 2))


@dataclass(frozen=True)
class Cut:
    """A common branch in pieces. milliseconds: for `in_pieces`."""

    pieces: list[Piece]
    milliseconds: list[float] = field(default_factory=list)


class GraphEngine:
    """Engine over a library. Its graphs have one input size: those of a size are built when it is first seen.

    The graphs of a few sizes are kept in memory.
    """

    problem = ""

    def __init__(
        self, model: DCFM, config: EngineConfig, library: Library, frames: Sequence[Image] = ()
    ) -> None:
        self.card = model.card
        self.name, self.device, self.precision = library.name, library.device, library.precision
        self.model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
        self._library = library
        self._frames = frames
        self._digest = ""
        self._threads = config.threads
        self._common_threads = 0
        self._sets: dict[tuple[Size, int], dict[str, Runner]] = {}
        self._used: dict[tuple[Size, int], float] = {}  # when each of them was last asked for
        self._cuts: dict[Size, Cut] = {}
        self._lock = threading.Lock()

    def prepare(self, size: Size, pieces: bool = False) -> None:
        for name in GRAPHS:
            self._runner(name, size)
        if pieces:
            self._cut(size)

    def independent(self, rgb: Image) -> Feature:
        size = rgb.shape[1], rgb.shape[0]
        (values,) = self._runner("independent", size)(_batch(rgb))
        return Feature(values, size)

    def common(self, independent: Feature) -> Feature:
        (values,) = self._runner("common", independent.size)(independent.values)
        return Feature(values, independent.size)

    def common_slices(self, independent: Feature, pieces: int) -> Generator[None, None, Feature]:
        # Compiled now and not in the first piece, for which a frame may have to wait; and once, as finely as it may be asked
        # for: a cut for each number of pieces would be memory and threads that grow with what a stream has been through.
        # What runs beside the frames holds none of them up, and is quicker whole.
        cut = Cut([]) if self._common_threads else self._cut(independent.size)
        if not cut.pieces:
            spec = GRAPHS["common"]
            cut = Cut([Piece(self._runner(spec.name, independent.size), spec.inputs, spec.outputs)])
        return in_pieces(self._run_pieces(cut.pieces, independent), pieces, cut.milliseconds)

    def align(self, common: Feature, displacement: Array) -> Feature:
        values = np.ascontiguousarray(common.values)[0]
        on_grid = displacement_on_grid(displacement, (values.shape[1], values.shape[0]))
        return replace(common, values=warp_array(values, on_grid)[None])

    def move(self, logits: Feature, displacement: Array) -> Feature:
        rows = np.swapaxes(np.asarray(logits.values), 2, 3)  # N×h×w×classes, as features lie
        moved = self.align(replace(logits, values=rows), displacement)
        return replace(moved, values=np.swapaxes(np.asarray(moved.values), 2, 3))

    def background(self, threads: int) -> GraphEngine:
        handle = copy.copy(self)
        handle._common_threads = checked_threads(threads) if self.device == "cpu" else 0
        return handle

    def logits(self, common: Feature, independent: Feature) -> Feature:
        (values,) = self._runner("logits", independent.size)(common.values, independent.values)
        return Feature(values, independent.size)

    def label_map(self, logits: Feature, size: Size, *, confidence: bool = False) -> tuple[Mask, Mask | None]:
        rows = np.asarray(logits.values)[0].transpose(1, 0, 2)
        return label_array(rows, size, confidence=confidence, shown=len(self.card.classes))

    def _run_pieces(self, pieces: list[Piece], independent: Feature) -> Generator[None, None, Feature]:
        values: dict[str, Values] = {pieces[0].inputs[0]: independent.values}
        for i, piece in enumerate(pieces):
            if i:
                yield
            results = piece.graph(*[values[name] for name in piece.inputs])
            values.update(zip(piece.outputs, results, strict=True))
        return Feature(values[pieces[-1].outputs[0]], independent.size)

    def _runner(self, name: str, size: Size) -> Runner:
        # All but the common branch are the frames', whoever asks for them.
        key = size, self._common_threads if name == "common" else 0
        self._used[key] = time.monotonic()
        runners = self._sets.get(key)
        if runners is None:
            with self._lock:
                if key not in self._sets:
                    while len(self._sets) >= KEPT_SETS:
                        del self._sets[min(self._sets, key=self._used.__getitem__)]
                    self._sets[key] = self._load(*key)
                runners = self._sets[key]
        return runners[name]

    def _cut(self, size: Size) -> Cut:
        with self._lock:
            cut = self._cuts.pop(size, None)
            if cut is None:
                while len(self._cuts) >= KEPT_SETS:
                    del self._cuts[next(iter(self._cuts))]
                cut = Cut(self._pieces(size))
            self._cuts[size] = cut
            return cut

    def _pieces(self, size: Size) -> list[Piece]:
        """None where the branch cannot be cut."""
        spec = GRAPHS["common"]
        graph, built = self._exported(size) / f"{spec.name}.onnx", self._built(size)
        try:
            return self._library.load_pieces(graph, built, spec, MAX_PIECES, self._threads)
        except Exception as error:  # of cutting; what is wrong with the graph itself comes again
            logger.warning("key frames are computed in one piece: %s", reason(error))
            return []

    def _load(self, size: Size, common_threads: int) -> dict[str, Runner]:
        graphs, built = self._exported(size), self._built(size)
        if not common_threads:
            return self._load_all(graphs, built, size)
        spec = GRAPHS["common"]
        return {spec.name: self._library.load(graphs / f"{spec.name}.onnx", built, spec, common_threads)}

    def _load_all(self, graphs: Path, built: Path, size: Size) -> dict[str, Runner]:
        band = self._band(size)
        runners = {}
        for name, spec in GRAPHS.items():
            rows = band if name == "logits" else 0
            runners[name] = self._library.load(graphs / f"{name}.onnx", built, spec, self._threads, rows)
        if band != self._rows(size):
            runners["logits"] = InBands(runners["logits"], band, self.model.outputs)
        return runners

    def _rows(self, size: Size) -> int:
        """Rows in the features of an image, where logits of some rows can be computed; else 0."""
        return -(-size[1] // self.model.backbone.independent.stride) if is_pointwise(self.model) else 0

    def _band(self, size: Size) -> int:
        """How many of them are computed at once."""
        rows = self._rows(size)
        if not rows or self.device != "cpu":
            return rows
        columns = -(-size[0] // self.model.backbone.independent.stride)
        row_bytes = 4 * columns * (self.model.config.common_channels or self.model.config.deep_channels)
        return band_rows(rows, row_bytes, self._threads or torch.get_num_threads())

    def _exported(self, size: Size) -> Path:
        """The folder with the ONNX files for images of this size, from the cache."""
        key = {**self._key(size), "torch": torch.__version__}

        def build(folder: Path) -> None:
            logger.warning("exporting %s; this is done once", self._describe(size))
            export_graphs(self.model, size, folder)

        return cached(self._entry(size, "onnx"), key, build)

    def _built(self, size: Size) -> Path:
        """The folder with what the library builds from them, compared with torch, from the cache."""
        library, frames = self._library, self._frames
        graphs = self._exported(size)
        what = f"{self._describe(size)} for {library.name}, {library.precision} on {library.device}"

        def build(folder: Path) -> None:
            begin = time.perf_counter()
            logger.warning("building %s; this is done once and may take minutes", what)
            files = {name: graphs / f"{name}.onnx" for name in GRAPHS}
            library.build(files, folder, frames, self._rows(size))
            runners = self._load_all(graphs, folder, size)
            agreement = check_graphs(self.model, runners, size, library.precision, frames)
            (folder / "agreement.txt").write_text(f"{agreement}\n")
            logger.warning("built %s in %.0f s", what, time.perf_counter() - begin)

        key = {
            **self._key(size),
            "engine": library.name,
            "precision": library.precision,
            "device": library.device,
            "library": library.version,
        }
        fresh, self._frames = bool(frames) and library.precision == "int8", ()
        return cached(self._entry(size, f"{library.name}-{library.precision}"), key, build, fresh=fresh)

    def _key(self, size: Size) -> dict[str, str]:
        if not self._digest:
            self._digest = model_digest(self.model)
        return {
            "weights": self._digest,
            "size": f"{size[0]}x{size[1]}",
            "dcfm_ros": __version__,
            "code": code_digest("model", "engines"),
        }

    def _entry(self, size: Size, kind: str) -> str:
        return re.sub(r"[^\w.-]", "_", f"{self.card.name}-{size[0]}x{size[1]}-{kind}")

    def _describe(self, size: Size) -> str:
        return f"model '{self.card.name}' at {size[0]}×{size[1]}"


def model_digest(model: DCFM) -> str:
    """A hash of all that a model computes with."""
    digest = hashlib.sha256((to_json(model.config) + to_json(model.card)).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().float().numpy()).data)
    return digest.hexdigest()


def _batch(rgb: Image) -> Array:
    # The libraries take no read-only memory, and an image often is a view of a message's bytes.
    return np.require(rgb, requirements=["C", "W"])[None]
