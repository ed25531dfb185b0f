"""From logits at low resolution to labels at any size: bilinear upsampling and arg-max, by the fastest way there is."""

from __future__ import annotations

import functools
import importlib
import logging
import math
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcfm_ros.arrays import UNLABELLED, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.label_map.bilinear import Taps, taps
from dcfm_ros.engines.label_map.kernel import Logits, label_cells
from dcfm_ros.engines.threads import Helpers

logger = logging.getLogger(__name__)

NEGLIGIBLE = 2e-4
"""Share of the softmax that all classes left out of a confidence may have together: 0.05 of its 255 steps."""
TILE_NUMBERS = 1 << 24
"""Most numbers in the upsampled logits of a tile: 64 MiB of float32."""
MAX_THREADS = 8
THREAD_WORK = 1 << 18
"""Numbers read and bytes written that are worth a thread of their own."""


def label_map(
    logits: Tensor, size: Size, *, confidence: bool = False, shown: int = UNLABELLED
) -> tuple[Mask, Mask | None]:
    """logits: C×h×w of any float type; size: (width, height). Returns the mask and, when asked, the winner's probability.

    Both are uint8 H×W. A pixel between logits that are not finite is `UNLABELLED`, with probability 0; of equal
    classes the first wins. Where a class wins that is not among the first `shown`, the pixel is `UNLABELLED`, too.
    """
    if not logits.is_cuda:
        return label_array(logits.float().numpy(), size, confidence=confidence, shown=shown)
    winner, probability = gpu_way(logits.device)(logits, size, confidence=confidence)
    mask = _fetched(winner)
    _hide(mask, shown, len(logits))
    return mask, None if probability is None else _fetched(probability)


def label_array(
    logits: NDArray[np.float32], size: Size, *, confidence: bool = False, shown: int = UNLABELLED
) -> tuple[Mask, Mask | None]:
    """`label_map` for an array: fastest where its rows lie in order, class by class or all classes of a row together."""
    logits = np.asarray(logits, np.float32)
    classes, rows, columns = logits.shape
    width, height = size
    mask = np.empty((height, width), np.uint8)
    share = np.empty((height, width) if confidence else (0, 0), np.uint8)
    slack = math.log(classes / NEGLIGIBLE) if confidence else 0.0
    row_taps, column_taps = taps(rows, height), taps(columns, width)
    lines = Logits(*_lines(logits))

    def label(first: int, last: int) -> None:
        label_cells(lines, row_taps, column_taps, slack, first, last, mask, share)

    parts = min(torch.get_num_threads(), MAX_THREADS, rows, 1 + (logits.size + mask.size) // THREAD_WORK)
    _helpers().share(label, [rows * i // parts for i in range(parts + 1)])
    _hide(mask, shown, classes)
    return mask, share if confidence else None


def _hide(mask: Mask, shown: int, classes: int) -> None:
    if shown < classes:
        mask[mask >= shown] = UNLABELLED


def _lines(logits: NDArray[np.float32]) -> tuple[NDArray[np.float32], int, int, int, int]:
    """What `Logits` is made of; without a copy where rows of C×h×w logits lie in order."""
    classes, height, width = logits.shape
    by_row = logits.transpose(1, 0, 2)
    if by_row.flags.c_contiguous and not logits.flags.c_contiguous:
        return by_row.reshape(-1, width), classes, height, 1, classes
    return np.ascontiguousarray(logits).reshape(-1, width), classes, height, height, 1


def _fetched(pixels: Tensor) -> Mask:
    """uint8 pixels of a GPU in memory that it writes by itself."""
    array = torch.empty(pixels.shape, dtype=pixels.dtype, pin_memory=True)
    array.copy_(pixels, non_blocking=True)
    torch.cuda.current_stream(pixels.device).synchronize()
    return array.numpy()


@functools.cache
def _helpers() -> Helpers:
    return Helpers(MAX_THREADS, "dcfm label map")


@functools.cache
def gpu_way(device: torch.device) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """What labels pixels on a GPU: the fused kernel, where Triton can compile it, else `label_tiles`."""
    try:
        fused = importlib.import_module("dcfm_ros.engines.label_map.triton_kernel")
        fused.label_pixels(torch.zeros(1, 1, 1, device=device), (1, 1))
    except Exception as error:  # Triton is not installed, or lacks its C compiler
        problem = str(error).split("\n")[0]
        logger.warning("label maps are made by torch, slower than with Triton, which fails: %s", problem)
        return label_tiles
    return cast(Callable[..., tuple[Tensor, Tensor | None]], fused.label_pixels)


def label_tiles(logits: Tensor, size: Size, *, confidence: bool = False) -> tuple[Tensor, Tensor | None]:
    """As `label_map`, by torch alone, for GPUs without Triton: a few rows at a time, so that memory stays small.

    logits: C×h×w of any float type; the results are tensors on their device.
    """
    width, height = size
    logits = logits.float()
    mask = torch.empty(height, width, dtype=torch.uint8, device=logits.device)
    share = torch.empty_like(mask) if confidence else None
    rows, columns = taps(logits.shape[1], height), taps(logits.shape[2], width)
    step = max(1, TILE_NUMBERS // (logits.shape[0] * width))
    for begin in range(0, height, step):
        tile = slice(begin, min(begin + step, height))
        full = interpolate(interpolate(logits, rows, 1, tile), columns, 2, slice(0, width))
        best, winner = full.max(0)
        broken = ~full.isfinite().all(0)
        mask[tile] = winner.to(torch.uint8).masked_fill_(broken, UNLABELLED)
        if share is not None:
            probability = torch.exp(best - torch.logsumexp(full, 0)).masked_fill_(broken, 0)
            share[tile] = (255 * probability).round().to(torch.uint8)
    return mask, share


def interpolate(x: Tensor, axis_taps: Taps, axis: int, outputs: slice) -> Tensor:
    """Some of the outputs of a linear resize of one axis of C×h×w."""
    first = torch.tensor(axis_taps.first[outputs], device=x.device)
    shape = (-1, 1) if axis == 1 else (-1,)
    weight = torch.tensor(axis_taps.weight[outputs], device=x.device).view(shape)
    second = (first + 1).clamp_(max=x.shape[axis] - 1)
    return x.index_select(axis, first) * (1 - weight) + x.index_select(axis, second) * weight
