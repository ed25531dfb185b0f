"""The label map as one fused CUDA kernel. Importing this needs Triton."""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from dcfm_ros.config import Size

BLOCK = 256
UNLABELLED = tl.constexpr(255)


def label_pixels(logits: Tensor, size: Size, *, confidence: bool = False) -> tuple[Tensor, Tensor | None]:
    """As `label_map`, from and to tensors on one CUDA device; logits C×h×w of any float type and any strides."""
    width, height = size
    classes, rows, columns = logits.shape
    mask = torch.empty(height, width, dtype=torch.uint8, device=logits.device)
    share = torch.empty_like(mask) if confidence else mask
    scales = (float(np.float32(rows) / np.float32(height)), float(np.float32(columns) / np.float32(width)))
    tensors_and_sizes = (logits, mask, share, classes, rows, columns, width)
    with torch.cuda.device_of(logits):
        label_kernel[(height, triton.cdiv(width, BLOCK))](
            *tensors_and_sizes,
            *scales,
            *logits.stride(),
            RATE=confidence,
            BLOCK=BLOCK,
            enable_fp_fusion=False,  # each product is rounded, as on the CPU, whatever this Triton's default
        )
    return mask, share if confidence else None


@triton.jit
def label_kernel(
    logits,
    mask,
    share,
    classes,
    rows,
    columns,
    out_width,
    scale_y,
    scale_x,
    stride_class,
    stride_row,
    stride_column,
    RATE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Each program labels BLOCK pixels of one row: every class is interpolated in registers and compared at once."""
    row = tl.program_id(0)
    pixels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < out_width

    y = tl.maximum(scale_y * (row.to(tl.float32) + 0.5) - 0.5, 0.0)
    x = tl.maximum(scale_x * (pixels.to(tl.float32) + 0.5) - 0.5, 0.0)
    top = tl.minimum(y.to(tl.int32), rows - 1)
    left = tl.minimum(x.to(tl.int32), columns - 1)
    down = tl.minimum(y - top.to(tl.float32), 1.0)
    across = tl.minimum(x - left.to(tl.float32), 1.0)
    bottom = tl.minimum(top + 1, rows - 1)
    right = tl.minimum(left + 1, columns - 1)

    best = tl.full([BLOCK], float("-inf"), tl.float32)
    label = tl.full([BLOCK], 0, tl.int32)
    total = tl.full([BLOCK], 0.0, tl.float32)
    poison = tl.full([BLOCK], 0.0, tl.float32)
    for c in range(classes):
        upper = logits + c * stride_class + top * stride_row
        lower = logits + c * stride_class + bottom * stride_row
        a = tl.load(upper + left * stride_column, mask=inside, other=0.0).to(tl.float32)
        b = tl.load(upper + right * stride_column, mask=inside, other=0.0).to(tl.float32)
        d = tl.load(lower + left * stride_column, mask=inside, other=0.0).to(tl.float32)
        e = tl.load(lower + right * stride_column, mask=inside, other=0.0).to(tl.float32)
        value = (1.0 - down) * ((1.0 - across) * a + across * b) + down * ((1.0 - across) * d + across * e)
        poison += value * 0.0
        better = value > best
        if RATE:
            higher = tl.where(better, value, best)
            total = total * tl.exp(best - higher) + tl.exp(value - higher)
        label = tl.where(better, c, label)
        best = tl.where(better, value, best)

    finite = poison == 0.0
    offsets = row * out_width + pixels
    tl.store(mask + offsets, tl.where(finite, label, UNLABELLED).to(tl.uint8), mask=inside)
    if RATE:
        probability = tl.where(finite, 255.0 / total + 0.5, 0.0)
        tl.store(share + offsets, probability.to(tl.uint8), mask=inside)
