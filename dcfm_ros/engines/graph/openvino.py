"""Graphs run by OpenVINO, on CPUs and Intel GPUs."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.arrays import Image
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.graph.base import Array, Values
from dcfm_ros.engines.graph.cutting import Piece
from dcfm_ros.engines.graph.export import ROWS_AXIS, GraphSpec
from dcfm_ros.engines.graph.openvino_cut import cut
from dcfm_ros.engines.graph.quantise import quantise
from dcfm_ros.errors import DcfmError, required

PRECISIONS = ("fp32", "bf16", "fp16", "int8")


@functools.cache
def core() -> Any:
    """OpenVINO in this process: one for all engines, since what one has taken is not all given back when it goes."""
    return import_openvino().Core()


class OpenVinoLibrary:
    """Raises DcfmError when OpenVINO, the device or the precision is not available."""

    name = "openvino"

    def __init__(self, config: EngineConfig) -> None:
        self._openvino = import_openvino()
        self._core = core()
        self.device = "cpu" if config.device == "auto" else config.device.lower()
        self.version = self._openvino.get_version()
        self._check_device()
        self.precision = "fp32" if config.precision == "auto" else config.precision
        self._check_precision()

    def build(self, graphs: Mapping[str, Path], folder: Path, frames: Sequence[Image], rows: int) -> None:
        if self.precision == "int8":
            models = self.models(graphs, rows)
            quantise(
                self._openvino, models, folder, frames, lambda name, model: self._compiled(model, 0, name)
            )

    def models(self, graphs: Mapping[str, Path], rows: int) -> dict[str, Any]:
        """The graphs in float32, their shapes fixed; arguments as `build`'s."""
        models = {name: self._core.read_model(str(path)) for name, path in graphs.items()}
        fix_rows(models["logits"], rows)
        return models

    def load(self, graph: Path, folder: Path, spec: GraphSpec, threads: int, rows: int = 0) -> OpenVinoRunner:
        model = self._read(graph, folder, spec)
        fix_rows(model, rows)
        return self._compiled(model, threads, spec.name)

    def load_pieces(
        self, graph: Path, folder: Path, spec: GraphSpec, pieces: int, threads: int
    ) -> list[Piece]:
        cut_pieces = cut(self._read(graph, folder, spec), pieces)
        return [replace(piece, graph=self._compiled(piece.graph, threads, spec.name)) for piece in cut_pieces]

    def _read(self, graph: Path, folder: Path, spec: GraphSpec) -> Any:
        return self._core.read_model(str(folder / f"{spec.name}.xml" if self.precision == "int8" else graph))

    def _compiled(self, model: Any, threads: int, name: str) -> OpenVinoRunner:
        """A model of the graph `name`."""
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": self._hint(name, model),
        }
        if self.device == "cpu":
            # The node's other threads want the cores, too.
            settings["ENABLE_CPU_PINNING"] = False
            settings["INFERENCE_NUM_THREADS"] = threads
        compiled = self._core.compile_model(model, self.device.upper(), settings)
        return OpenVinoRunner(self._openvino, compiled)

    def _hint(self, name: str, model: Any) -> str:
        """The precision of all that is not int8. Beside int8 it may as well be bf16, where the device is faster so.

        Products that decide the labels stay in fp32 on a CPU: with MiT-B2 bf16 saved 3 of 14 ms, and cost 0.7 % of them.
        """
        convolves = any("Convolution" in node.get_type_name() for node in model.get_ops())
        if name == "logits" and self.device == "cpu" and not convolves:
            return "f32"
        if self.precision == "int8" and "BF16" in self._capabilities():
            return "bf16"
        return {"fp16": "f16", "bf16": "bf16"}.get(self.precision, "f32")

    def _capabilities(self) -> list[str]:
        return list(self._core.get_property(self.device.upper(), "OPTIMIZATION_CAPABILITIES"))

    def _check_device(self) -> None:
        known = [name.lower() for name in self._core.available_devices]
        if self.device.partition(".")[0] not in {name.partition(".")[0] for name in known}:
            raise DcfmError(
                f"device '{self.device}' does not exist: OpenVINO {self.version} sees {', '.join(known) or 'none'}"
            )

    def _check_precision(self) -> None:
        capabilities = self._capabilities()
        if self.precision.upper() not in capabilities:
            raise DcfmError(
                f"precision '{self.precision}' is not available on device '{self.device}' with OpenVINO; "
                f"it offers {', '.join(p for p in PRECISIONS if p.upper() in capabilities)}"
            )


class OpenVinoRunner:
    """One compiled graph, with as many inference requests as threads call it at once."""

    def __init__(self, openvino: Any, compiled: Any) -> None:
        self._tensor = openvino.Tensor
        self._compiled = compiled
        self._outputs = [(tuple(port.shape), port.element_type.to_dtype()) for port in compiled.outputs]
        self._idle = [compiled.create_infer_request()]
        self._lock = threading.Lock()

    def __call__(self, *inputs: Values, out: tuple[Array, ...] = ()) -> tuple[Array, ...]:
        request = self._take()
        arrays = [np.asarray(value) for value in inputs]
        # The request reads and writes these arrays in place; the tensors that say so must outlive the call.
        results = out or tuple(np.empty(shape, dtype) for shape, dtype in self._outputs)
        read = [self._tensor(array, shared_memory=True) for array in arrays]
        written = [self._tensor(array, shared_memory=True) for array in results]
        for i, tensor in enumerate(read):
            request.set_input_tensor(i, tensor)
        for i, tensor in enumerate(written):
            request.set_output_tensor(i, tensor)
        request.infer()
        with self._lock:
            self._idle.append(request)
        return results

    def _take(self) -> Any:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._compiled.create_infer_request()


def fix_rows(model: Any, rows: int) -> None:
    """Has a graph that works row by row expect that many of them; 0: as many as it does."""
    if rows:
        shapes = {port: list(port.partial_shape) for port in model.inputs}
        for shape in shapes.values():
            shape[ROWS_AXIS] = rows
        model.reshape(shapes)


def import_openvino() -> Any:
    """The package. Raises DcfmError where it is not installed."""
    # At its import, and NNCF's, it would send an event to an analytics host and write an id into the user's home.
    # Both do without where this package is missing, and None is how Python is told that.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return required("openvino", "engine 'openvino'")
