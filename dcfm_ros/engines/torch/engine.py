"""The model run by torch, on the CPU or on a CUDA GPU."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.arrays import Floats, Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.config import EngineConfig, checked_threads
from dcfm_ros.engines.gpu import compute_whole_fp32, first_gpu
from dcfm_ros.engines.graph.forms import use_graph_forms
from dcfm_ros.engines.label_map.label_map import label_map
from dcfm_ros.engines.malloc import keep_freed_memory
from dcfm_ros.engines.torch.cuda_lane import Lane
from dcfm_ros.engines.torch.passes import Pass, Passes
from dcfm_ros.engines.warp import displacement_on_grid, warp_array, warp_tensor
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.fold import fold
from dcfm_ros.model.slices import Blocks, common_blocks, in_pieces

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
THIS_THREAD = threading.local()
"""settled: whether this thread has its own number of compute threads, whatever others do to the process's."""


class TorchEngine:
    """Engine over torch; its handles are tensors 1×C×h×w on the engine's device, in the engine's precision.

    On a GPU, frames have an urgent stream and a background handle one that is not, so that a key frame computed beside
    them does not hold them up; every pass is a CUDA graph.
    """

    name = "torch"

    def __init__(self, model: DCFM, config: EngineConfig) -> None:
        device = _device(config.device)
        self.card = model.card
        self._common_threads = 0
        self._block_ms: dict[torch.Size, list[float]] = {}
        self.device = str(device)
        self.precision = "fp32" if config.precision == "auto" else config.precision
        if self.precision not in DTYPES:
            raise DcfmError(
                f"precision '{self.precision}' needs engine 'openvino'; torch has {', '.join(DTYPES)}"
            )
        folded = fold(model)
        if device.type == "cpu":
            keep_freed_memory()
            use_graph_forms(folded)
        folded.to(device, DTYPES[self.precision])
        folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.threads:
            torch.set_num_threads(config.threads)
        self._threads = config.threads or torch.get_num_threads()
        THIS_THREAD.settled = True
        self._passes = Passes(folded, compiled=config.compile)
        self._frames = Lane(device, urgent=True) if device.type == "cuda" else None
        self._beside: Lane | None = None
        self._sizes: set[Size] = set()
        if self._frames is not None:
            torch.backends.cudnn.benchmark = True  # sizes stay the same
            if self.precision == "fp32":
                compute_whole_fp32()

    @property
    def problem(self) -> str:
        return self._passes.problem

    def prepare(self, size: Size, pieces: bool = False) -> None:
        """Compiles and captures what frames of `size` need; nothing, on a CPU without `compile`."""
        if self._frames is None and not self._passes.compiled:
            return
        independent = self.independent(_blank(size))
        logits = self.logits(self.common(independent), independent)
        for confidence in (False, True):
            self.label_map(logits, size, confidence=confidence)
        self._sizes.add(size)

    @torch.inference_mode()
    def independent(self, rgb: Image) -> Tensor:
        (independent,) = self._run(self._passes.independent, _tensor(rgb))
        return independent

    @torch.inference_mode()
    def common(self, independent: Tensor) -> Tensor:
        (common,) = self._run(self._passes.common, independent, threads=self._common_threads)
        return common

    @torch.inference_mode()
    def common_slices(self, independent: Tensor, pieces: int) -> Generator[None, None, Tensor]:
        if self._frames is not None:
            yield from ()
            return self.common(independent)
        settle_threads(self._threads)
        blocks = common_blocks(self._passes.model, independent)
        durations = self._block_ms.setdefault(independent.shape, [])
        return (yield from in_pieces(with_threads(blocks, self._common_threads), pieces, durations))

    @torch.inference_mode()
    def align(self, common: Tensor, displacement: Floats) -> Tensor:
        on_grid = displacement_on_grid(displacement, (common.shape[3], common.shape[2]))
        with self._entered():
            if self._frames is None and common.dtype == torch.float32:
                pixels = common[0].permute(1, 2, 0).contiguous()
                return torch.from_numpy(warp_array(pixels.numpy(), on_grid)).permute(2, 0, 1)[None]
            return warp_tensor(common, torch.from_numpy(on_grid).to(common.device))

    def move(self, logits: Tensor, displacement: Floats) -> Tensor:
        return self.align(logits, displacement)

    def background(self, threads: int) -> TorchEngine:
        handle = copy.copy(self)
        handle._common_threads = checked_threads(threads)
        if self._frames is not None:
            handle._beside = Lane(self._frames.stream.device, urgent=False)
            for size in self._sizes:  # captured now, not while frames come
                independent = self.independent(_blank(size))
                handle.logits(handle.common(independent), independent)
        return handle

    @torch.inference_mode()
    def logits(self, common: Tensor, independent: Tensor) -> Tensor:
        (logits,) = self._run(self._passes.logits, common, independent)
        return logits

    @torch.inference_mode()
    def label_map(self, logits: Tensor, size: Size, *, confidence: bool = False) -> tuple[Mask, Mask | None]:
        settle_threads(self._threads)
        with self._entered():
            return label_map(logits[0], size, confidence=confidence, shown=len(self.card.classes))

    def adopt(self, feature: Tensor) -> Tensor:
        """Another engine's feature, float 1×C×h×w, as this one's."""
        with self._entered():
            return feature.to(self.device, DTYPES[self.precision], memory_format=torch.channels_last)

    def _entered(self) -> contextlib.AbstractContextManager[None]:
        return self._frames.entered() if self._frames else contextlib.nullcontext()

    def _run(self, function: Pass, *inputs: Tensor, threads: int = 0) -> tuple[Tensor, ...]:
        """threads: for `compute_threads`."""
        settle_threads(self._threads)
        with compute_threads(threads):
            if self._frames is None:
                return function(*inputs)
            if self._beside is not None:
                return self._beside.run_beside(self._frames, function, *inputs)
            return self._frames.run(function, *inputs)


def _blank(size: Size) -> Image:
    return np.zeros((size[1], size[0], 3), np.uint8)


def _tensor(rgb: Image) -> Tensor:
    """uint8 H×W×3, in the memory of `rgb` where that is possible."""
    # torch has no read-only tensors and warns of an image that is (it often is a view of a message's bytes).
    return torch.from_numpy(np.require(rgb, requirements=["C", "W"]))


def with_threads(blocks: Blocks[Tensor], threads: int) -> Blocks[Tensor]:
    """`blocks`, each within `compute_threads`: what runs between them on this thread is not held back."""
    while True:
        try:
            with compute_threads(threads):
                next(blocks)
        except StopIteration as end:
            return end.value
        yield


def settle_threads(threads: int) -> None:
    """Has the calling thread compute with that many threads from its first call on; later calls change nothing.

    torch keeps the number for each thread. But a thread that is new to torch takes the one that was set last, by
    whatever thread, and keeps it: within another's `compute_threads` that would be the number of that one.
    """
    if not getattr(THIS_THREAD, "settled", False):
        torch.get_num_threads()  # takes what was set last, which the next use of torch would else do
        torch.set_num_threads(threads)
        THIS_THREAD.settled = True


@contextlib.contextmanager
def compute_threads(threads: int) -> Iterator[None]:
    """Inside, the calling thread computes with that many threads, on itself alone when it is one; 0: as before.

    Other threads keep their number, except for one that first uses torch in the meantime and not through an engine, which
    settles its number.
    """
    if not threads:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(name: str) -> torch.device:
    if name == "auto":
        return first_gpu() or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DcfmError(f"unknown device '{name}'; expected auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DcfmError(
            f"device '{name}' does not exist: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA GPUs; "
            f"use device: cpu, or install a torch built for this machine's GPU"
        )
    if device.type not in ("cpu", "cuda"):
        raise DcfmError(f"device '{name}' is not supported; expected auto, cpu, cuda or cuda:N")
    return device
