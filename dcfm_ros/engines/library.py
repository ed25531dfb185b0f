"""What a graph engine asks of the library that runs its graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from dcfm_ros.engines.base import Image
from dcfm_ros.engines.graphs import GraphSpec

Array = NDArray[Any]


class Runner(Protocol):
    """A loaded graph. May be called from several threads; what it returns is the caller's."""

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Arrays in and out in the order of its GraphSpec, C-contiguous."""


class Library(Protocol):
    """
    name, device, precision: as the engine's.
    version: of the library, whatever its built files depend on.
    """

    name: str
    device: str
    precision: str
    version: str

    def build(self, graphs: Mapping[str, Path], frames: Sequence[Image]) -> None:
        """Adds to the folder of the exported graphs what is built ahead of time. frames: to calibrate int8 on."""

    def load(self, path: Path, spec: GraphSpec, threads: int) -> Runner:
        """A graph ready to run. path: its exported file; threads: compute threads, 0: the library's choice."""
