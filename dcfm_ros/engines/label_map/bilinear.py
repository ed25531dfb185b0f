"""Where bilinear interpolation reads: torch's rule for `align_corners=False`, in torch's float32 arithmetic."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Taps(NamedTuple):
    """One axis of a resize. Output i lies between inputs first[i] and first[i] + 1 (the last input repeats).

    first: int64 (outputs). weight: float32 (outputs), of the second of the two, 0-1.
    starts: int64 (inputs + 1): the outputs from starts[j] up to starts[j + 1] lie between inputs j and j + 1.
    """

    first: NDArray[np.int64]
    weight: NDArray[np.float32]
    starts: NDArray[np.int64]


@functools.lru_cache(maxsize=64)
def taps(inputs: int, outputs: int) -> Taps:
    """The taps that resize an axis from `inputs` to `outputs` pixels."""
    scale = np.float32(inputs) / np.float32(outputs)
    place = np.maximum(scale * (np.arange(outputs, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5), 0)
    first = np.minimum(place.astype(np.int64), inputs - 1)
    weight = np.clip(place - first.astype(np.float32), 0, 1).astype(np.float32)
    starts = np.searchsorted(first, np.arange(inputs + 1)).astype(np.int64)
    for array in (first, weight, starts):
        array.setflags(write=False)
    return Taps(first, weight, starts)
