"""The label map as a compiled kernel: exact, and bound by writing the labels.

Between four neighbouring low-resolution pixels, the corners of a *cell*, interpolation weights are convex: a class's
value stays within its smallest and its largest corner. So in a cell only a class whose largest corner reaches the best
of all classes' smallest corners can win. Most cells have one such candidate and are filled; in the others the few
candidates are interpolated pixel by pixel. H×W×C numbers are never made.

For the confidence the same bound, lowered by `slack`, finds the classes whose share of the softmax is not negligible.

The functions are plain Python here; `kernel` compiles them with numba, where it is installed.
"""

from __future__ import annotations

import logging
import math

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.engines.base import UNLABELLED, Mask
from dcfm_ros.engines.taps import Taps

logger = logging.getLogger(__name__)

NEGLIGIBLE = 1e-4
"""Share of the softmax that all classes left out of a confidence may have together: 0.03 of its 255 steps."""


def label_cells(
    logits: NDArray[np.float32], rows: Taps, columns: Taps, slack: float, mask: Mask, confidence: Mask
) -> None:
    """Fills `mask` and, unless it is empty, `confidence`: uint8 H×W. logits: float32 C×h×w, contiguous."""
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
    for y in range(height):
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
            right = min(x + 1, width - 1)
            found = 0
            for c in range(classes):
                a, b = logits[c, y, x], logits[c, y, right]
                d, e = logits[c, below, x], logits[c, below, right]
                if max(max(a, b), max(d, e)) >= bound[x] - np.float32(slack):
                    candidates[found] = c
                    found += 1
            # A cell's pixels: rows begin ... end, columns.starts[x] ... columns.starts[x + 1].
            compare(logits, y, below, x, right, candidates[:found], rows, columns, mask)
            if with_confidence:
                rate(logits, y, below, x, right, candidates[:found], rows, columns, confidence)


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


def compare(
    logits: NDArray[np.float32],
    y: int,
    below: int,
    x: int,
    right: int,
    candidates: NDArray[np.int32],
    rows: Taps,
    columns: Taps,
    mask: Mask,
) -> None:
    """Labels the pixels of one cell. On a tie the lowest class id wins, as in arg-max."""
    one = np.float32(1)
    for j in range(columns.starts[x], columns.starts[x + 1]):
        w1 = columns.weight[j]
        w0 = one - w1
        for i in range(rows.starts[y], rows.starts[y + 1]):
            h1 = rows.weight[i]
            h0 = one - h1
            best = np.float32(-np.inf)
            label = 0
            for c in candidates:
                top = w0 * logits[c, y, x] + w1 * logits[c, y, right]
                bottom = w0 * logits[c, below, x] + w1 * logits[c, below, right]
                value = h0 * top + h1 * bottom
                if value > best:
                    best = value
                    label = c
            mask[i, j] = label


def rate(
    logits: NDArray[np.float32],
    y: int,
    below: int,
    x: int,
    right: int,
    candidates: NDArray[np.int32],
    rows: Taps,
    columns: Taps,
    confidence: Mask,
) -> None:
    """The winner's softmax probability in the pixels of one cell, 0-255."""
    one = np.float32(1)
    for j in range(columns.starts[x], columns.starts[x + 1]):
        w1 = columns.weight[j]
        w0 = one - w1
        for i in range(rows.starts[y], rows.starts[y + 1]):
            h1 = rows.weight[i]
            h0 = one - h1
            best = np.float32(-np.inf)
            total = np.float32(0)
            for c in candidates:
                top = w0 * logits[c, y, x] + w1 * logits[c, y, right]
                bottom = w0 * logits[c, below, x] + w1 * logits[c, below, right]
                value = h0 * top + h1 * bottom
                if value > best:
                    total = total * math.exp(best - value) + one
                    best = value
                else:
                    total += math.exp(value - best)
            confidence[i, j] = np.uint8(255 / total + 0.5)
