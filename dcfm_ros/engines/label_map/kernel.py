"""The label map as a compiled kernel: exact, and bound by writing the labels.

Between four neighbouring low-resolution pixels, the corners of a *cell*, interpolation weights are convex: a class's
value stays within its smallest and its largest corner. So in a cell only a class whose largest corner reaches the best
of all classes' smallest corners can win. Most cells have one such candidate and are filled; in the others the few
candidates are interpolated pixel by pixel. H×W×C numbers are never made.

The confidence needs every class that has a share. Of every low-resolution pixel's logits their largest is taken away,
which leaves the softmax as it is; what is interpolated then is nowhere above 0, so that no exponential overflows. Rows
are stretched to the picture's width once, class by class; between two of them, each row of the picture is a weighted
sum, its exponential, and a sum over the classes: straight loops over pixels, which the compiler makes SIMD code of. A
class without a share worth a step is left out, tile by tile.

All of it lies in one file, since Numba compiles a function again when its own file changes, not when another's does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.arrays import UNLABELLED, Floats, Mask
from dcfm_ros.engines.jit import fused_kernel, kernel
from dcfm_ros.engines.label_map.bilinear import Taps

SQUARINGS = 4
"""exp(x) is taken as (1 + a y + b y² + c y³ + d y⁴)^(2^SQUARINGS), y = x / 2^SQUARINGS, fitted to be within 0.0005 of
itself down to x = -4, 0.0013 down to -10 and 0.025 down to -24, below which it is exp(-24)."""
DEEPEST = 6.0
"""Where even the best class may lie further than this below 0, the approximation is not good enough."""
TILE = 2048
"""Columns of the picture that are looked at together: long loops are faster than short ones that leave out more classes."""

LANES = 32
"""A cell's pixels are padded to a multiple of so many: loops without a remainder are faster."""

Words = NDArray[np.uint32]
"""32 bits each; in a set of classes, bit c % 32 of word c // 32 is class c."""
Numbers = NDArray[np.int32]
"""Numbers of classes or of cells."""


class Logits(NamedTuple):
    """Logits, read row by row: line y * row_step + c * class_step of `lines` is row y of class c.

    lines: float32 n×w, contiguous. So classes may lie row by row or rows class by class. classes, height: how many.
    """

    lines: Floats
    classes: int
    height: int
    class_step: int
    row_step: int


class Rows(NamedTuple):
    """The low-resolution rows in work: row y lies at index y % 2, and the one below it at the other.

    lowered: float32 2×C×w, the logits less the largest of each pixel. lines: float32 2×tiles×C×n, the same stretched to
    the picture's width and divided by 2^SQUARINGS. stretched: int64 2×tiles×C, the row that a line was made of.
    """

    lowered: Floats
    lines: Floats
    stretched: NDArray[np.int64]


@fused_kernel
def exponential(x: np.float32) -> np.float32:
    """About exp(2^SQUARINGS x), for x up to 0."""
    one, a, b = np.float32(1), np.float32(0.9993956), np.float32(0.49408522)
    c, d = np.float32(0.14988327), np.float32(0.023054948)
    x = max(x, np.float32(-1.5))
    power = one + x * (a + x * (b + x * (c + x * d)))
    for _ in range(SQUARINGS):
        power *= power
    return power


@kernel
def line_of(logits: Logits, c: int, y: int) -> Floats:
    """float32 w: row y of class c."""
    return logits.lines[c * logits.class_step + y * logits.row_step]


@kernel
def find_bounds(logits: Logits, y: int, below: int, bound: Floats, poison: Floats) -> None:
    """bound: per cell the largest of all classes' smallest corners. poison: 0, NaN in cells with a corner not finite."""
    last = logits.lines.shape[1] - 1
    bound[:] = -np.inf
    poison[:] = 0
    for c in range(logits.classes):
        top, bottom = line_of(logits, c, y), line_of(logits, c, below)
        for x in range(last):
            low = min(min(top[x], top[x + 1]), min(bottom[x], bottom[x + 1]))
            bound[x] = max(bound[x], low)
            poison[x] += top[x] * np.float32(0) + bottom[x] * np.float32(0)
        bound[last] = max(bound[last], min(top[last], bottom[last]))
        poison[last] += top[last] * np.float32(0) + bottom[last] * np.float32(0)
    for x in range(last):
        poison[x] += poison[x + 1]


@kernel
def find_candidates(logits: Logits, y: int, below: int, bound: Floats, reaching: Words) -> None:
    """reaching: uint32 words×w, per cell the set of classes that reach the bound."""
    last = logits.lines.shape[1] - 1
    reaching[:] = 0
    for c in range(logits.classes):
        top, bottom = line_of(logits, c, y), line_of(logits, c, below)
        word, bit = reaching[c // 32], np.uint32(1 << c % 32)
        for x in range(last):
            high = max(max(top[x], top[x + 1]), max(bottom[x], bottom[x + 1]))
            word[x] |= bit if high >= bound[x] else np.uint32(0)
        if max(top[last], bottom[last]) >= bound[last]:
            word[last] |= bit


@kernel
def place(bit: np.uint32) -> np.uint32:
    """Which one is set, of a number with one bit."""
    zero, one = np.uint32(0), np.uint32(1)
    found = one if bit & np.uint32(0xAAAAAAAA) else zero
    found |= one << 1 if bit & np.uint32(0xCCCCCCCC) else zero
    found |= one << 2 if bit & np.uint32(0xF0F0F0F0) else zero
    found |= one << 3 if bit & np.uint32(0xFF00FF00) else zero
    found |= one << 4 if bit & np.uint32(0xFFFF0000) else zero
    return found


@kernel
def find_winners(reaching: Words, winner: Words, several: Words) -> None:
    """several: per cell not 0 where its set has more than one class. winner: the class, where it has one."""
    one = np.uint32(1)
    several[:] = 0
    winner[:] = 0
    for i in range(reaching.shape[0]):
        word, base = reaching[i], np.uint32(32 * i + 1)
        for x in range(word.size):
            bits = word[x]
            if bits != 0:
                # Without its lowest bit, a set of one is empty. 0 is no class yet.
                several[x] |= (bits & np.uint32(bits - one)) | winner[x]
                winner[x] = base + place(bits)
    for x in range(winner.size):
        winner[x] -= one


@kernel
def list_candidates(reaching: Words, x: int, candidates: Numbers) -> int:
    """candidates: the classes in a cell's set, in order. Returns their number."""
    found = 0
    for i in range(reaching.shape[0]):
        bits = np.int64(reaching[i, x])
        while bits:
            lowest = bits & -bits
            bits ^= lowest
            candidates[found] = 32 * i + place(np.uint32(lowest))
            found += 1
    return found


@kernel
def fill_line(
    starts: NDArray[np.int64], poison: Floats, several: Words, winner: Words, line: Mask, mixed: Numbers
) -> int:
    """Writes the cells of one class into a row of labels; lists the others and returns how many."""
    found = 0
    for x in range(several.size):
        begin, end = starts[x], starts[x + 1]
        if begin == end:
            continue
        label = winner[x]
        if poison[x] != 0:
            label = UNLABELLED
        elif several[x] != 0:
            mixed[found] = x
            found += 1
            continue
        for i in range(begin, end):
            line[i] = label
    return found


@kernel
def read_corners(logits: Logits, y: int, x: int, classes: Numbers, corners: Floats) -> None:
    """corners: float32 classes×4, those of the classes in a cell: top left, top right, bottom left, bottom right."""
    below, beside = min(y + 1, logits.height - 1), min(x + 1, logits.lines.shape[1] - 1)
    for k in range(classes.size):
        top, bottom = line_of(logits, classes[k], y), line_of(logits, classes[k], below)
        corners[k, 0], corners[k, 1] = top[x], top[beside]
        corners[k, 2], corners[k, 3] = bottom[x], bottom[beside]


@kernel
def padded(pixels: int) -> int:
    """The next multiple of LANES."""
    return -(-pixels // LANES) * LANES


@kernel
def cell_weights(y: int, x: int, rows: Taps, columns: Taps, weights: Floats) -> int:
    """weights: for each of a cell's pixels, row by row, the second row's and the second column's.

    Returns their number, padded: what lies after the last one is of no pixel.
    """
    pixel = 0
    for i in range(rows.starts[y], rows.starts[y + 1]):
        for j in range(columns.starts[x], columns.starts[x + 1]):
            weights[0, pixel] = rows.weight[i]
            weights[1, pixel] = columns.weight[j]
            pixel += 1
    return padded(pixel)


@kernel
def compare(
    corners: Floats, candidates: Numbers, down: Floats, right: Floats, best: Floats, label: Numbers
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
def rate(corners: Floats, down: Floats, right: Floats, best: Floats, total: Floats, share: Numbers) -> None:
    """share: per pixel of a cell the best candidate's softmax probability, 0-255. Arguments as `compare`'s; total: scratch.

    Rounds as `compare` does, so that the best class's value is `best`, and the sum of exponentials at least 1.
    """
    one, part = np.float32(1), np.float32(1 / 2**SQUARINGS)
    total[:] = 0
    for k in range(corners.shape[0]):
        a, b, d, e = corners[k, 0], corners[k, 1], corners[k, 2], corners[k, 3]
        for p in range(best.size):
            left = one - right[p]
            value = (one - down[p]) * (left * a + right[p] * b) + down[p] * (left * d + right[p] * e)
            total[p] += exponential((value - best[p]) * part)
    for p in range(best.size):
        share[p] = np.uint8(np.float32(255) / total[p] + np.float32(0.5))


@kernel
def new_rows(classes: int, width: int, columns: Taps) -> Rows:
    """Room for the rows of C×h×width logits, no row in it."""
    widest = np.max(columns.starts[1:] - columns.starts[:-1])
    cells = max(1, TILE // widest)
    tiles = -(-width // cells)
    return Rows(
        np.empty((2, classes, width), np.float32),
        np.empty((2, tiles, classes, cells * widest), np.float32),
        np.full((2, tiles, classes), -1, np.int64),
    )


@kernel
def lower(logits: Logits, y: int, lowered: Floats) -> None:
    """lowered: float32 C×w, the logits of row y less the largest of each pixel."""
    best = line_of(logits, 0, y).copy()
    for c in range(1, logits.classes):
        row = line_of(logits, c, y)
        for x in range(best.size):
            best[x] = max(best[x], row[x])
    for c in range(logits.classes):
        row, out = line_of(logits, c, y), lowered[c]
        for x in range(best.size):
            out[x] = row[x] - best[x]


@kernel
def find_shares(
    top: Floats, bottom: Floats, begin: int, end: int, least: np.float32, classes: NDArray[np.int64]
) -> int:
    """classes: those that reach `least` somewhere in columns begin ... end. Returns their number."""
    found = 0
    for c in range(top.shape[0]):
        high = -np.float32(np.inf)
        for x in range(begin, end):
            high = top[c, x] if top[c, x] > high else high
            high = bottom[c, x] if bottom[c, x] > high else high
        if high >= least:
            classes[found] = c
            found += 1
    return found


@fused_kernel
def stretch(row: Floats, first: NDArray[np.int64], weight: Floats, slopes: Floats, line: Floats) -> None:
    """line: float32 n, a row interpolated where `first` and `weight` say, and scaled; slopes: float32 w, scratch."""
    scale = np.float32(1 / 2**SQUARINGS)
    for x in range(row.size - 1):
        slopes[x] = row[x + 1] - row[x]
    slopes[row.size - 1] = 0
    for i in range(line.size):
        line[i] = scale * (row[first[i]] + weight[i] * slopes[first[i]])


@fused_kernel
def rate_rows(
    top: Floats,
    bottom: Floats,
    classes: NDArray[np.int64],
    down: Floats,
    total: Floats,
    peak: Floats,
    confidence: Mask,
    begin: int,
) -> None:
    """Fills rows of `confidence`, from column `begin`: of the classes' exponentials the largest over the sum of all.

    top, bottom: float32 C×n, lines above and below; down: float32 rows, the weight of `bottom`; total, peak: float32, one
    per column to be filled, scratch.
    """
    one, half = np.float32(1), np.float32(1 / 2)
    for row in range(down.size):
        below, above = down[row], one - down[row]
        total[:] = 0
        peak[:] = 0
        for k in range(classes.size):
            c = classes[k]
            for i in range(total.size):
                power = exponential(above * top[c, i] + below * bottom[c, i])
                total[i] += power
                peak[i] = max(peak[i], power)
        out = confidence[row, begin : begin + total.size]
        for i in range(total.size):
            out[i] = np.uint8(np.float32(255) * peak[i] / total[i] + half)


@kernel
def find_depths(top: Floats, bottom: Floats, mixed: Numbers, depth: Floats) -> None:
    """depth: float32 w, how far below 0 the best class of each cell may lie: not at all in those that are not `mixed`.

    top, bottom: float32 C×w, rows as `lower` leaves them.
    """
    depth[:] = 0
    for x in mixed:
        beside = min(x + 1, top.shape[1] - 1)
        high = -np.float32(np.inf)
        for c in range(top.shape[0]):
            high = max(high, min(min(top[c, x], top[c, beside]), min(bottom[c, x], bottom[c, beside])))
        depth[x] = -high


@kernel
def rate_band(
    rows: Rows,
    y: int,
    below: int,
    down: Floats,
    columns: Taps,
    depth: Floats,
    slack: np.float32,
    confidence: Mask,
) -> None:
    """Fills the rows of the picture between two low-resolution rows, y and `below`.

    down: the weights of `below`; depth: float32 w, how far below 0 the best class of each cell may lie; slack: how far
    below the best one a class counts; confidence: uint8 rows×W. Nothing is said of cells with a corner that is not
    finite, or deeper than DEEPEST.
    """
    _, tiles, classes, pixels = rows.lines.shape
    width = depth.size
    cells = -(-width // tiles)
    sharing = np.empty(classes, np.int64)
    slopes = np.empty(width, np.float32)
    total, peak = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    for tile in range(tiles):
        first, last = tile * cells, min((tile + 1) * cells, width)
        begin, end = columns.starts[first], columns.starts[last]
        least = -slack - min(np.max(depth[first:last]), np.float32(DEEPEST))
        found = find_shares(
            rows.lowered[y % 2], rows.lowered[below % 2], first, min(last + 1, width), least, sharing
        )
        for row in (y, below):
            slot = row % 2
            for k in range(found):
                c = sharing[k]
                if rows.stretched[slot, tile, c] != row:
                    rows.stretched[slot, tile, c] = row
                    line = rows.lines[slot, tile, c, : end - begin]
                    first_columns, weights = columns.first[begin:end], columns.weight[begin:end]
                    stretch(rows.lowered[slot, c], first_columns, weights, slopes, line)
        rate_rows(
            rows.lines[y % 2, tile],
            rows.lines[below % 2, tile],
            sharing[:found],
            down,
            total[: end - begin],
            peak[: end - begin],
            confidence,
            begin,
        )


class Cell(NamedTuple):
    """Room to work on one cell: its candidates (int32 C), their corners (float32 C×4), and for each of its pixels the
    weights (float32 2×pixels), what `compare` and `rate` find, and scratch.
    """

    candidates: Numbers
    corners: Floats
    weights: Floats
    best: Floats
    found: Numbers
    total: Floats


@kernel
def new_cell(classes: int, rows: Taps, columns: Taps) -> Cell:
    """Room for a cell with as many pixels as any has."""
    most = np.max(rows.starts[1:] - rows.starts[:-1]) * np.max(columns.starts[1:] - columns.starts[:-1])
    most = padded(most)
    return Cell(
        np.empty(classes, np.int32),
        np.empty((classes, 4), np.float32),
        np.zeros((2, most), np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.int32),
        np.empty(most, np.float32),
    )


@kernel
def fill_mixed(
    logits: Logits,
    y: int,
    mixed: Numbers,
    reaching: Words,
    rows: Taps,
    columns: Taps,
    cell: Cell,
    picture: Mask,
    rated: bool,
) -> None:
    """Fills each pixel of the cells `mixed` with the best of the cell's candidates, or if `rated` with its probability."""
    for x in mixed:
        found = list_candidates(reaching, x, cell.candidates)
        read_corners(logits, y, x, cell.candidates[:found], cell.corners)
        pixels = cell_weights(y, x, rows, columns, cell.weights)
        down, right = cell.weights[0, :pixels], cell.weights[1, :pixels]
        compare(cell.corners, cell.candidates[:found], down, right, cell.best[:pixels], cell.found[:pixels])
        if rated:
            rate(cell.corners[:found], down, right, cell.best[:pixels], cell.total[:pixels], cell.found)
        pixel = 0
        for row in range(rows.starts[y], rows.starts[y + 1]):
            for column in range(columns.starts[x], columns.starts[x + 1]):
                picture[row, column] = cell.found[pixel]
                pixel += 1


@kernel
def label_cells(
    logits: Logits,
    rows: Taps,
    columns: Taps,
    slack: float,
    first: int,
    last: int,
    mask: Mask,
    confidence: Mask,
) -> None:
    """Fills the rows of `mask` and, unless it is empty, of `confidence` that begin in low-resolution rows first ... last.

    mask, confidence: uint8 H×W; slack: how far below the winner a class counts for the confidence.
    """
    classes, height, width = logits.classes, logits.height, logits.lines.shape[1]
    with_confidence = confidence.size > 0
    bound = np.empty(width, np.float32)
    poison = np.empty(width, np.float32)
    reaching = np.empty((-(-classes // 32), width), np.uint32)
    winner, several = np.empty(width, np.uint32), np.empty(width, np.uint32)
    line = np.empty(mask.shape[1], np.uint8)
    mixed = np.empty(width, np.int32)
    depth = np.zeros(width, np.float32)
    cell = new_cell(classes, rows, columns)
    work = new_rows(classes if with_confidence else 0, width, columns)
    lowered = first  # rows before this one have been
    for y in range(first, last):
        begin, end = rows.starts[y], rows.starts[y + 1]
        if begin == end:
            continue
        below = min(y + 1, height - 1)
        find_bounds(logits, y, below, bound, poison)
        find_candidates(logits, y, below, bound, reaching)
        find_winners(reaching, winner, several)
        mixed_cells = fill_line(columns.starts, poison, several, winner, line, mixed)
        for row in range(begin, end):
            mask[row] = line
        fill_mixed(logits, y, mixed[:mixed_cells], reaching, rows, columns, cell, mask, False)
        if not with_confidence:
            continue
        for row in range(max(y, lowered), below + 1):
            lower(logits, row, work.lowered[row % 2])
        lowered = below + 1
        find_depths(work.lowered[y % 2], work.lowered[below % 2], mixed[:mixed_cells], depth)
        rate_band(
            work, y, below, rows.weight[begin:end], columns, depth, np.float32(slack), confidence[begin:end]
        )
        deep = np.flatnonzero(depth > np.float32(DEEPEST)).astype(np.int32)
        if deep.size:
            find_candidates(logits, y, below, bound - np.float32(slack), reaching)
            fill_mixed(logits, y, deep, reaching, rows, columns, cell, confidence, True)
        for x in np.flatnonzero(poison):
            confidence[begin:end, columns.starts[x] : columns.starts[x + 1]] = 0
