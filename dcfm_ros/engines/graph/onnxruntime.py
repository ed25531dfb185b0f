"""Graphs run by ONNX Runtime: on the CPU, on CUDA GPUs, and through TensorRT."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.arrays import Image
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.gpu import gpu_name, tensorrt_version
from dcfm_ros.engines.graph.base import Array, Runner, Values
from dcfm_ros.engines.graph.cutting import Piece
from dcfm_ros.engines.graph.export import ROWS, GraphSpec
from dcfm_ros.engines.graph.onnx_cut import cut
from dcfm_ros.errors import DcfmError, required

logger = logging.getLogger(__name__)

CPU, CUDA, TENSORRT = (f"{kind}ExecutionProvider" for kind in ("CPU", "CUDA", "Tensorrt"))
PRECISIONS = {CPU: ("fp32",), CUDA: ("fp32",), TENSORRT: ("fp16", "fp32", "bf16")}
"""What each provider runs our float32 graphs in, its `auto` first."""
PIP_GPU = "pip install onnxruntime-gpu"


class OnnxRuntimeLibrary:
    """name: "onnxruntime", or "tensorrt", which is the same with TensorRT's execution provider.

    Raises DcfmError when the library, the provider or the precision is not available.
    """

    def __init__(self, name: str, config: EngineConfig) -> None:
        self._runtime = import_onnxruntime()
        self.name = name
        available = self._runtime.get_available_providers()
        if name == "tensorrt":
            self._provider = TENSORRT
            self.device = "cuda" if config.device == "auto" else config.device
        else:
            wants_cuda = config.device.startswith("cuda") or (config.device == "auto" and CUDA in available)
            self._provider = CUDA if wants_cuda else CPU
            self.device = config.device if config.device != "auto" else "cuda" if wants_cuda else "cpu"
        if self._provider not in available:
            raise DcfmError(
                f"engine '{name}' on device '{self.device}' needs ONNX Runtime with its {self._provider} "
                f"({PIP_GPU}); the one installed offers {', '.join(available)}"
            )
        if self._provider != CPU and not self.device.startswith("cuda"):
            raise DcfmError(f"engine '{name}' does not run on device '{self.device}'; use device: cuda")
        if self._provider == CPU and self.device != "cpu":
            raise DcfmError(f"engine '{name}' does not run on device '{self.device}'; use cpu or cuda")
        known = PRECISIONS[self._provider]
        self.precision = known[0] if config.precision == "auto" else config.precision
        if self.precision not in known:
            raise DcfmError(
                f"precision '{self.precision}' is not available with engine '{name}' on device '{self.device}'; "
                f"it offers {', '.join(known)}"
            )
        self.version = self._runtime.__version__
        if self._provider == TENSORRT:  # its engines are for one version of it and one kind of GPU
            self.version += f", TensorRT {tensorrt_version()}, {gpu_name(self._index)}"

    def build(self, graphs: Mapping[str, Path], folder: Path, frames: Sequence[Image], rows: int) -> None:
        if self._provider == TENSORRT:
            for name, path in graphs.items():
                logger.warning("TensorRT builds the graph '%s'; this takes minutes", name)
                self._session(path, folder, self._options(0, rows))

    def load(self, graph: Path, folder: Path, spec: GraphSpec, threads: int, rows: int = 0) -> Runner:
        session = self._session(graph, folder, self._options(threads, rows))
        if self._provider == CPU:
            return OnnxRuntimeRunner(session, spec.inputs, spec.outputs)
        return DeviceRunner(self._runtime.OrtValue, session, spec, "cuda", self._index)

    def load_pieces(
        self, graph: Path, folder: Path, spec: GraphSpec, pieces: int, threads: int
    ) -> list[Piece]:
        if self._provider != CPU:
            return []
        options = self._options(threads)
        options.enable_cpu_mem_arena = False  # each piece would keep one of its own
        loaded = []
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / graph.name
            for piece in cut(self._simplified(graph, path), pieces):
                # Given as bytes, a session would keep them.
                path.write_bytes(piece.graph)
                session = self._session(path, folder, options)
                loaded.append(replace(piece, graph=OnnxRuntimeRunner(session, piece.inputs, piece.outputs)))
        return loaded

    def _simplified(self, graph: Path, path: Path) -> Path:
        """`path`, with the same graph less what depends on weights and shapes alone, in ONNX's own operators."""
        options = self._options(0)
        options.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        self._runtime.InferenceSession(str(graph), options, providers=[CPU])
        return path

    def _options(self, threads: int, rows: int = 0) -> Any:
        options = self._runtime.SessionOptions()
        if rows:
            options.add_free_dimension_override_by_name(ROWS, rows)
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # its warnings are about what it does inside
        # A thread that spins between two frames takes a core from the rest of the robot.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _session(self, graph: Path, folder: Path, options: Any) -> Any:
        problem = ""
        try:
            session = self._runtime.InferenceSession(
                str(graph), options, providers=self._providers(folder), enable_fallback=0
            )
            if self._provider in session.get_providers():
                return session
        except Exception as error:
            if self._provider == CPU:
                raise
            problem = f" ({type(error).__name__}: {error})"
        raise DcfmError(
            f"ONNX Runtime could not start its {self._provider}{problem}; are its libraries (CUDA, cuDNN, TensorRT) "
            f"missing or of another version? See `python -c 'import onnxruntime; onnxruntime.print_debug_info()'`"
        )

    @property
    def _index(self) -> int:
        """Number of the GPU."""
        return int(self.device.partition(":")[2] or 0)

    def _providers(self, folder: Path) -> list[Any]:
        # TensorFloat-32 keeps ten bits of fp32's 23.
        cuda = (CUDA, {"device_id": self._index, "use_tf32": 0})
        if self._provider == TENSORRT:
            tensorrt = {
                "device_id": self._index,
                "trt_fp16_enable": self.precision == "fp16",
                "trt_engine_cache_enable": True,
                "trt_engine_cache_path": str(folder),
                "trt_timing_cache_enable": True,
                # It changes at every build; what lies in `folder` may not.
                "trt_timing_cache_path": str(folder.parent),
            }
            if self.precision == "bf16":  # ONNX Runtime older than 1.23 does not know it and refuses it
                tensorrt["trt_bf16_enable"] = True
            return [(TENSORRT, tensorrt), cuda, CPU]
        return [cuda, CPU] if self._provider == CUDA else [CPU]


class OnnxRuntimeRunner:
    """One session on the CPU; ONNX Runtime runs it on several threads at once."""

    def __init__(self, session: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        self._session = session
        self._inputs, self._outputs = inputs, outputs

    def __call__(self, *inputs: Values, out: tuple[Array, ...] = ()) -> tuple[Array, ...]:
        arrays = [np.ascontiguousarray(value) for value in inputs]
        if out:
            self._write(arrays, out)
            return out
        results = self._session.run(None, dict(zip(self._inputs, arrays, strict=True)))
        return tuple(np.ascontiguousarray(result) for result in results)

    def _write(self, arrays: list[Array], out: tuple[Array, ...]) -> None:
        binding = self._session.io_binding()
        for name, array in zip(self._inputs, arrays, strict=True):
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in zip(self._outputs, out, strict=True):
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)


class DeviceValues:
    """A result that stays where it was computed until somebody wants it as an array."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __array__(self, *args: Any, **kwargs: Any) -> Array:
        return np.asarray(self.value.numpy(), *args, **kwargs)


class DeviceRunner:
    """One session on a GPU: what another graph computed is read there, and what this one computes stays there.

    value: the runtime's class of values; device, index: as it names them.
    """

    def __init__(self, value: Any, session: Any, spec: GraphSpec, device: str, index: int) -> None:
        self._value, self._session, self._spec = value, session, spec
        self._place = device, index

    def __call__(self, *inputs: Values, out: tuple[Array, ...] = ()) -> tuple[Values, ...]:
        if out:
            for array, result in zip(out, self(*inputs), strict=True):
                array[...] = np.asarray(result)
            return out
        binding = self._session.io_binding()
        for name, given in zip(self._spec.inputs, inputs, strict=True):
            binding.bind_ortvalue_input(name, self._here(given))
        for name in self._spec.outputs:
            binding.bind_output(name, *self._place)
        self._session.run_with_iobinding(binding)
        return tuple(DeviceValues(value) for value in binding.get_outputs())

    def _here(self, given: Values) -> Any:
        if isinstance(given, DeviceValues):
            return given.value
        return self._value.ortvalue_from_numpy(np.ascontiguousarray(given), *self._place)


def import_onnxruntime() -> Any:
    """The package. Raises DcfmError where it is not installed."""
    # From 1.29 on it would send events to its maker from the moment it is imported; this it reads then.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return required("onnxruntime", "engine 'onnxruntime'", f"onnxruntime, or {PIP_GPU}")
