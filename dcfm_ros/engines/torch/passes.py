"""A model's passes as functions of tensors: what torch compiles, and what a CUDA graph captures."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from dcfm_ros.engines.bands import band_rows, band_starts
from dcfm_ros.engines.graph.forms import channel_last, fused_logits, is_pointwise
from dcfm_ros.model.dcfm import DCFM

logger = logging.getLogger(__name__)

Pass = Callable[..., tuple[Tensor, ...]]


class Passes:
    """The passes of a folded model, each from tensors to a tuple of new tensors.

    rgb: uint8 H×W×3; features and logits: float 1×C×h×w in the model's precision. compiled: torch.compile makes its own
    code of a pass when it first sees an input size, which takes seconds to a minute. Where it cannot (it needs a C++
    compiler on the CPU, Triton on a GPU), a warning and `problem` say so and the pass runs as it is.
    """

    def __init__(self, model: DCFM, *, compiled: bool = False) -> None:
        self.model = model
        self.compiled = compiled
        self.problem = ""
        device = next(model.parameters()).device
        self._mean = 255 * torch.tensor(model.card.mean, device=device)
        # A GPU wants all of the work at once.
        self.in_bands = device.type == "cpu" and is_pointwise(model)
        self.independent = self._made(self._independent)
        self.common = self._made(self._common)
        # In bands it is faster than what the compiler makes of it.
        self.logits: Pass = self._logits if self.in_bands else self._made(self._logits)

    def _independent(self, rgb: Tensor) -> tuple[Tensor]:
        # Channels-last, less the mean: a folded model divides by the deviation in its first layer.
        pixels = (rgb.float() - self._mean).to(next(self.model.parameters()).dtype)
        return (self.model.encode_independent(pixels[None].permute(0, 3, 1, 2)),)

    def _common(self, independent: Tensor) -> tuple[Tensor]:
        return (self.model.prepare_common(self.model.encode_common(None, independent)),)

    def _logits(self, common: Tensor, independent: Tensor) -> tuple[Tensor]:
        features = [channel_last(feature) for feature in (common, independent)]
        if not self.in_bands:
            return (fused_logits(self.model, *features).transpose(1, 2),)
        number, rows, columns, channels = features[0].shape
        logits = common.new_empty(number, rows, self.model.outputs, columns)
        band = band_rows(rows, columns * channels * common.element_size(), torch.get_num_threads())
        for first in band_starts(rows, band):
            here = slice(first, first + band)
            logits[:, here] = fused_logits(self.model, *(feature[:, here] for feature in features))
        return (logits.transpose(1, 2),)

    def _made(self, plain: Pass) -> Pass:
        return Compiled(plain, self._failed) if self.compiled else plain

    def _failed(self, error: Exception) -> None:
        lines = str(error).strip().splitlines() or [""]
        self.problem = f"torch.compile failed; torch runs without it ({type(error).__name__}: {lines[0]})"
        logger.warning("%s", self.problem)


class Compiled:
    """A pass through torch.compile; the plain one from the moment on that compiling fails, which `failed` is told."""

    def __init__(self, plain: Pass, failed: Callable[[Exception], None]) -> None:
        self._plain, self._failed = plain, failed
        self._function: Pass = torch.compile(plain, dynamic=False)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        try:
            return self._function(*inputs)
        except Exception as error:
            if self._function is self._plain:
                raise
            results = self._plain(*inputs)  # An error of the inputs is none of compiling.
            self._function = self._plain
            self._failed(error)
            return results
