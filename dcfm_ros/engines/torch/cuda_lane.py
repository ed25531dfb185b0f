"""Work on a CUDA GPU: in a stream with a priority, each function as one CUDA graph."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from dcfm_ros.engines.torch.passes import Pass

logger = logging.getLogger(__name__)

WARM_UP = 3
"""Runs before a capture, in which libraries choose their kernels and make room for themselves."""
TOLERANCE = 1e-2
"""Error allowed in what a replayed graph computes, relative to the largest number: what half precision leaves open."""
CAPTURING = threading.Lock()
"""A capture begins by waiting for the whole GPU, which would break another thread's."""


class Replay(Protocol):
    """A captured function: its results for other contents of `inputs`, in the same tensors every time."""

    inputs: tuple[Tensor, ...]

    def __call__(self) -> tuple[Tensor, ...]: ...


class Graphs:
    """Functions of tensors, each captured for the shapes of its arguments and replayed from then on.

    A replay starts hundreds of kernels at once; one by one, starting a small one takes longer than it runs. What cannot
    be captured, or computes something else when it is replayed, runs as it is, and a warning says so.
    Calls come one at a time. Results are new tensors.
    """

    def __init__(self, capture: Callable[[Pass, tuple[Tensor, ...]], Replay], device: torch.device) -> None:
        self._capture, self._device = capture, device
        self._captured: dict[object, Replay | None] = {}

    def run(self, function: Pass, *inputs: Tensor) -> tuple[Tensor, ...]:
        """`function(*inputs)`, the inputs brought to the device first."""
        key = function, tuple((x.shape, x.dtype, x.stride()) for x in inputs)
        if key not in self._captured:
            with CAPTURING:
                self._captured[key] = self._captured_or_none(function, inputs)
        replay = self._captured[key]
        if replay is None:
            return function(*(x.to(self._device) for x in inputs))
        for mine, given in zip(replay.inputs, inputs, strict=True):
            mine.copy_(_pinned(given, self._device), non_blocking=True)
        return tuple(x.clone() for x in replay())

    def _captured_or_none(self, function: Pass, inputs: tuple[Tensor, ...]) -> Replay | None:
        name = getattr(function, "__name__", type(function).__name__)
        inputs = tuple(x.to(self._device, copy=True) for x in inputs)
        for _ in range(WARM_UP):
            expected = function(*inputs)
        try:
            replay = self._capture(function, inputs)
            if all(map(_alike, replay(), expected)):
                return replay
            logger.warning("the CUDA graph of %s gives other results; it runs without one", name)
        except RuntimeError as error:
            logger.warning(
                "%s cannot be captured as a CUDA graph (%s); it runs without one",
                name,
                str(error).split("\n")[0],
            )
        return None


class Lane:
    """A CUDA stream, in which one thing is done after the other. urgent: what runs in it goes before what does not."""

    def __init__(self, device: torch.device, *, urgent: bool) -> None:
        # Lower numbers go first. A graph keeps the priority of the stream it was captured in.
        self.stream = torch.cuda.Stream(device, priority=-1 if urgent else 0)
        self.stream.wait_stream(torch.cuda.current_stream(device))  # in which the weights come to the GPU
        # One after the other in one stream, graphs may use the same memory for what is between their inputs and outputs.
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs = Graphs(self._capture, device)
        self._lock = threading.Lock()

    def run(self, function: Pass, *inputs: Tensor) -> tuple[Tensor, ...]:
        """`function(*inputs)` in this stream, as a graph; enqueued when this returns, not done."""
        with self.entered():
            return self._graphs.run(function, *inputs)

    def run_beside(self, other: Lane, function: Pass, *inputs: Tensor) -> tuple[Tensor, ...]:
        """`run`, of what `other` has computed and for it to use; done when this returns."""
        with other.entered():  # not while it captures: this wait would become part of the graph
            self.stream.wait_stream(other.stream)
        results = self.run(function, *inputs)
        # Blocking: a thread that waits for a key frame leaves its core to others.
        done = torch.cuda.Event(blocking=True)
        done.record(self.stream)
        done.synchronize()
        for result in results:
            result.record_stream(other.stream)
        return results

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Inside, what torch does on the GPU goes into this stream, and no other thread is inside."""
        with self._lock, torch.cuda.stream(self.stream):
            yield

    def _capture(self, function: Pass, inputs: tuple[Tensor, ...]) -> Replay:
        try:
            return CudaReplay(function, inputs, self.stream, self._pool)
        except RuntimeError:
            self._pool = torch.cuda.graph_pool_handle()  # a capture that broke off leaves the other unusable
            raise


class CudaReplay:
    """A function's CUDA graph."""

    def __init__(
        self, function: Pass, inputs: tuple[Tensor, ...], stream: torch.cuda.Stream, pool: Any
    ) -> None:
        self.inputs = inputs
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile.
        with torch.cuda.graph(self._graph, pool, stream, capture_error_mode="thread_local"):
            self._outputs = function(*inputs)

    def __call__(self) -> tuple[Tensor, ...]:
        self._graph.replay()
        return self._outputs


def _pinned(given: Tensor, device: torch.device) -> Tensor:
    """An array of the CPU in memory that a GPU reads without waiting for the CPU; others as they are."""
    return given.pin_memory() if device.type == "cuda" and given.device.type == "cpu" else given


def _alike(replayed: Tensor, expected: Tensor) -> bool:
    largest = float(expected.float().abs().max())
    return bool((replayed.float() - expected.float()).abs().max() <= TOLERANCE * max(largest, 1e-6))
