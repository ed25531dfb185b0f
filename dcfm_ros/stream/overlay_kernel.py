"""The overlay's loops over pixels, compiled: the picture is read once and written once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.arrays import Floats
from dcfm_ros.engines.jit import fused_kernel, kernel

Bytes = NDArray[np.uint8]

PIECE = 64
"""Pixels that are tinted at a time: the length of the rows of colour."""
WORD = 8
"""Marks that are looked at at once."""


@kernel
def find_borders(mask: Bytes, y: int, side: int, above: Bytes, border: Bytes) -> None:
    """border: not 0 where a row's pixel differs from one beside it: left and up (side 2) or all around (side 3).

    above: uint8 W + 2, scratch, whose first and last are 0.
    """
    height, width = mask.shape
    row, up = mask[y], mask[max(y - 1, 0)]
    down = mask[min(y + 1, height - 1)] if side == 3 else row
    for x in range(width):
        above[x + 1] = (row[x] ^ up[x]) | (row[x] ^ down[x])
    left, here, right = above[:width], above[1 : width + 1], above[2 : width + 2]
    for x in range(width):
        border[x] = left[x] | here[x]
    for x in range(1, width):
        border[x] |= row[x] ^ row[x - 1]
    if side == 3:
        for x in range(width):
            border[x] |= right[x]
        for x in range(width - 1):
            border[x] |= row[x] ^ row[x + 1]


@kernel
def find_runs(row: Bytes, border: Bytes, change: Bytes, starts: NDArray[np.int32]) -> int:
    """starts: where runs of one label, on a border or off it, begin in a row, and after the last the row's width.

    change: uint8, scratch, a multiple of WORD long, 0 from the row's width on. Returns the number of runs.
    """
    for x in range(1, row.size):
        change[x] = (row[x] ^ row[x - 1]) | np.uint8((border[x] != 0) != (border[x - 1] != 0))
    words = change.view(np.uint64)
    starts[0] = 0
    found = 1
    for i in range(words.size):
        if words[i] == 0:
            continue
        for x in range(WORD * i, WORD * (i + 1)):
            if change[x] != 0:
                starts[found] = x
                found += 1
    starts[found] = row.size
    return found


@fused_kernel
def tint(
    rgb: Bytes, mask: Bytes, side: int, weights: Floats, colors: Floats, counts: NDArray[np.int64], out: Bytes
) -> None:
    """out: the picture, tinted by its classes. counts: int64 256, to which each label's pixels are added.

    rgb, out: uint8 H×3W; mask: uint8 H×W; weights: float32 2×256, what is left of the picture off a border and on it,
    by label; colors: float32 2×256×(3 PIECE), what is added then, and 0.5; side: as `find_borders`'.
    """
    height, width = mask.shape
    above, border = np.zeros(width + 2, np.uint8), np.empty(width, np.uint8)
    change = np.zeros(-(-width // WORD) * WORD, np.uint8)
    starts = np.empty(width + 1, np.int32)
    for y in range(height):
        find_borders(mask, y, side, above, border)
        row, source, target = mask[y], rgb[y], out[y]
        for run in range(find_runs(row, border, change, starts)):
            begin, end = starts[run], starts[run + 1]
            label = row[begin]
            counts[label] += end - begin
            strong = 1 if border[begin] != 0 else 0
            weight, color = weights[strong, label], colors[strong, label]
            for piece in range(begin, end, PIECE):
                stop = min(piece + PIECE, end)
                from_, to = source[3 * piece : 3 * stop], target[3 * piece : 3 * stop]
                for i in range(to.size):
                    to[i] = np.uint8(from_[i] * weight + color[i])


@fused_kernel
def cover(out: Bytes, kept: Floats, added: Floats) -> None:
    """Lays something over rows of `out`, in place: uint8 h×3W; float32 of the same shape; `added` has 0.5 in it."""
    for y in range(out.shape[0]):
        row, keep, add = out[y], kept[y], added[y]
        for i in range(row.size):
            row[i] = np.uint8(row[i] * keep[i] + add[i])
