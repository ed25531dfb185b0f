"""What a graph engine asks of the library that runs its graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.arrays import Image
from dcfm_ros.engines.graph.cutting import Piece
from dcfm_ros.engines.graph.export import LOGITS_CLASSES, GraphSpec

Array = NDArray[Any]


class Values(Protocol):
    """What goes from graph to graph: an array, or what a library keeps on its device and `np.asarray` brings here."""

    def __array__(self, *args: Any, **kwargs: Any) -> Array: ...


def labels_of(logits: Values) -> Array:
    """int64 1×h×w: of logits as the graph leaves them, the labels of their own pixels."""
    return np.asarray(logits).argmax(LOGITS_CLASSES)


class Runner(Protocol):
    """A loaded graph. May be called from several threads; what it returns is the caller's."""

    def __call__(self, *inputs: Values, out: tuple[Array, ...] = ()) -> tuple[Values, ...]:
        """In and out in the order of its GraphSpec, C-contiguous. out: arrays to write, and return; else new ones."""


class Library(Protocol):
    """
    name, device, precision: as the engine's.
    version: of the library, whatever its built files depend on.
    """

    name: str
    device: str
    precision: str
    version: str

    def build(self, graphs: Mapping[str, Path], folder: Path, frames: Sequence[Image], rows: int) -> None:
        """Writes into `folder` what is built ahead of time.

        graphs: ONNX files by name; frames: to calibrate int8 on; rows: of the features, where a file leaves them open.
        """

    def load(self, graph: Path, folder: Path, spec: GraphSpec, threads: int, rows: int = 0) -> Runner:
        """A graph ready to run.

        graph: its ONNX file; folder: as `build` left it; threads: 0: the library's choice; rows: of the features, where
        the file leaves them open, else 0.
        """

    def load_pieces(
        self, graph: Path, folder: Path, spec: GraphSpec, pieces: int, threads: int
    ) -> list[Piece]:
        """`load` in at most `pieces` pieces of about the same duration: the first has the graph's input, the last its
        output. None, where it is better run whole: a CUDA GPU computes it beside the frames."""
