"""The label map as a compiled kernel: exact, and bound by writing the labels.

Between four neighbouring low-resolution pixels, the corners of a *cell*, interpolation weights are convex: a class's
value stays within its smallest and its largest corner. So in a cell only a class whose largest corner reaches the best
of all classes' smallest corners can win. Most cells have one such candidate and are filled; in the others the few
candidates are interpolated pixel by pixel. H×W×C numbers are never made.

For the confidence the same bound, lowered by `slack`, finds the classes whose share of the softmax is not negligible.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.engines.base import UNLABELLED, Mask
from dcfm_ros.engines.jit import kernel
from dcfm_ros.engines.taps import Taps

HALVINGS = 12
"""exp(x) is taken as (1 + x / 2^HALVINGS)^(2^HALVINGS): exact enough for 255 steps, and the loop over pixels is SIMD."""


@kernel
def find_bounds(
    logits: NDArray[np.float32], y: int, below: int, bound: NDArray[np.float32], poison: NDArray[np.float32]
) -> None:
    """bound: per cell the largest of all classes' smallest corners. poison: 0, NaN in cells with a corner not finite."""
    classes, _, width = logits.shape
    last = width - 1
    bound[:] = -np.inf
    poison[:] = 0
    for c in range(classes):
        top, bottom = logits[c, y], logits[c, below]
        for x in range(last):
            low = min(min(top[x], top[x + 1]), min(bottom[x], bottom[x + 1]))
            bound[x] = max(bound[x], low)
            poison[x] += top[x] * np.float32(0) + bottom[x] * np.float32(0)
        bound[last] = max(bound[last], min(top[last], bottom[last]))
        poison[last] += top[last] * np.float32(0) + bottom[last] * np.float32(0)
    for x in range(last):
        poison[x] += poison[x + 1]


@kernel
def find_candidates(
    logits: NDArray[np.float32],
    y: int,
    below: int,
    bound: NDArray[np.float32],
    slack: np.float32,
    count: NDArray[np.int32],
    winner: NDArray[np.int32],
) -> None:
    """count: per cell the number of classes that reach the bound, less the slack. winner: the last of them."""
    classes, _, width = logits.shape
    last = width - 1
    count[:] = 0
    for c in range(classes):
        top, bottom = logits[c, y], logits[c, below]
        for x in range(last):
            high = max(max(top[x], top[x + 1]), max(bottom[x], bottom[x + 1]))
            reaches = high >= bound[x] - slack
            count[x] += reaches
            winner[x] = c if reaches else winner[x]
        if max(top[last], bottom[last]) >= bound[last] - slack:
            count[last] += 1
            winner[last] = c


@kernel
def fill_line(
    starts: NDArray[np.int64],
    poison: NDArray[np.float32],
    count: NDArray[np.int32],
    winner: NDArray[np.int32],
    line: Mask,
    sure: Mask,
    mixed: NDArray[np.int32],
) -> int:
    """Writes the cells of one class into a row of labels and one of confidences; lists the others and returns how many."""
    found = 0
    for x in range(count.size):
        begin, end = starts[x], starts[x + 1]
        if begin == end:
            continue
        label, probability = winner[x], 255
        if poison[x] != 0:
            label, probability = UNLABELLED, 0
        elif count[x] > 1:
            mixed[found] = x
            found += 1
            continue
        for i in range(begin, end):
            line[i] = label
            sure[i] = probability
    return found


@kernel
def cell_weights(y: int, x: int, rows: Taps, columns: Taps, weights: NDArray[np.float32]) -> int:
    """weights: for each of a cell's pixels, row by row, the second row's and the second column's. Returns their number."""
    pixel = 0
    for i in range(rows.starts[y], rows.starts[y + 1]):
        for j in range(columns.starts[x], columns.starts[x + 1]):
            weights[0, pixel] = rows.weight[i]
            weights[1, pixel] = columns.weight[j]
            pixel += 1
    return pixel


@kernel
def compare(
    corners: NDArray[np.float32],
    candidates: NDArray[np.int32],
    down: NDArray[np.float32],
    right: NDArray[np.float32],
    best: NDArray[np.float32],
    label: NDArray[np.int32],
) -> None:
    """best, label: per pixel of a cell the largest value of all candidates, and whose it is; the first's on a tie.

    corners: float32 candidates×4: top left, top right, bottom left, bottom right. down, right: the pixels' weights.
    """
    one = np.float32(1)
    best[:] = -np.inf
    label[:] = 0
    for k in range(candidates.size):
        a, b, d, e = corners[k, 0], corners[k, 1], corners[k, 2], corners[k, 3]
        c = candidates[k]
        for p in range(best.size):
            left = one - right[p]
            value = (one - down[p]) * (left * a + right[p] * b) + down[p] * (left * d + right[p] * e)
            label[p] = c if value > best[p] else label[p]
            best[p] = value if value > best[p] else best[p]


@kernel
def rate(
    corners: NDArray[np.float32],
    down: NDArray[np.float32],
    right: NDArray[np.float32],
    best: NDArray[np.float32],
    total: NDArray[np.float32],
) -> None:
    """total: per pixel of a cell the sum of exp(value - best) over all candidates. Arguments as `compare`'s."""
    one = np.float32(1)
    part = np.float32(1 / 2**HALVINGS)
    total[:] = 0
    for k in range(corners.shape[0]):
        a, b, d, e = corners[k, 0], corners[k, 1], corners[k, 2], corners[k, 3]
        for p in range(best.size):
            left = one - right[p]
            value = (one - down[p]) * (left * a + right[p] * b) + down[p] * (left * d + right[p] * e)
            power = max(one + (value - best[p]) * part, np.float32(0))
            for _ in range(HALVINGS):
                power *= power
            total[p] += power


@kernel
def label_cells(
    logits: NDArray[np.float32],
    rows: Taps,
    columns: Taps,
    slack: float,
    first: int,
    last: int,
    mask: Mask,
    confidence: Mask,
) -> None:
    """Fills the rows of `mask` and, unless it is empty, of `confidence` that begin in low-resolution rows first ... last.

    logits: float32 C×h×w, contiguous; mask, confidence: uint8 H×W; slack: how far below the winner a class counts for
    the confidence.
    """
    classes, height, width = logits.shape
    with_confidence = confidence.size > 0
    bound = np.empty(width, np.float32)
    poison = np.empty(width, np.float32)
    count = np.empty(width, np.int32)
    winner = np.empty(width, np.int32)
    line = np.empty(mask.shape[1], np.uint8)
    sure = np.empty(mask.shape[1], np.uint8)
    mixed = np.empty(width, np.int32)
    candidates = np.empty(classes, np.int32)
    corners = np.empty((classes, 4), np.float32)
    most = np.max(rows.starts[1:] - rows.starts[:-1]) * np.max(columns.starts[1:] - columns.starts[:-1])
    weights = np.empty((2, most), np.float32)
    best = np.empty(most, np.float32)
    label = np.empty(most, np.int32)
    total = np.empty(most, np.float32)
    for y in range(first, last):
        begin, end = rows.starts[y], rows.starts[y + 1]
        if begin == end:
            continue
        below = min(y + 1, height - 1)
        find_bounds(logits, y, below, bound, poison)
        find_candidates(logits, y, below, bound, np.float32(slack), count, winner)
        mixed_cells = fill_line(columns.starts, poison, count, winner, line, sure, mixed)
        for row in range(begin, end):
            mask[row] = line
            if with_confidence:
                confidence[row] = sure
        for i in range(mixed_cells):
            x = mixed[i]
            beside = min(x + 1, width - 1)
            found = 0
            for c in range(classes):
                a, b = logits[c, y, x], logits[c, y, beside]
                d, e = logits[c, below, x], logits[c, below, beside]
                if max(max(a, b), max(d, e)) >= bound[x] - np.float32(slack):
                    candidates[found] = c
                    corners[found, 0], corners[found, 1], corners[found, 2], corners[found, 3] = a, b, d, e
                    found += 1
            pixels = cell_weights(y, x, rows, columns, weights)
            down, right = weights[0, :pixels], weights[1, :pixels]
            compare(corners, candidates[:found], down, right, best[:pixels], label[:pixels])
            if with_confidence:
                rate(corners[:found], down, right, best[:pixels], total[:pixels])
            pixel = 0
            for row in range(begin, end):
                for column in range(columns.starts[x], columns.starts[x + 1]):
                    mask[row, column] = label[pixel]
                    if with_confidence:
                        confidence[row, column] = np.uint8(np.float32(255) / total[pixel] + np.float32(0.5))
                    pixel += 1
