"""The label map by torch alone, a few rows at a time, so that memory stays small: where no kernel can be compiled."""

from __future__ import annotations

import torch
from torch import Tensor

from dcfm_ros.engines.base import UNLABELLED
from dcfm_ros.engines.label_map.bilinear import Taps, taps

TILE_NUMBERS = 1 << 24
"""Most numbers in a tile's upsampled logits: 64 MiB of float32."""


def label_tiles(
    logits: Tensor, size: tuple[int, int], *, confidence: bool = False
) -> tuple[Tensor, Tensor | None]:
    """As `label_map`, from and to tensors on the device of `logits`, C×h×w of any float type."""
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
