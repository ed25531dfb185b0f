"""Logits in bands of rows: what is between a band's features and its logits stays in the processor's caches."""

from __future__ import annotations

import numpy as np

from dcfm_ros.engines.graph.base import Array, Runner, Values

BAND_BYTES = 1 << 20
"""Size of a band's fused feature, for each thread that computes it: about what a core's own cache holds."""


def band_rows(rows: int, row_bytes: int, threads: int) -> int:
    """How many rows a band has: those that fit, or a few less where the last band would repeat many of the one before.

    rows: of the features. row_bytes: of the fused feature.
    """
    most = min(rows, max(1, threads * BAND_BYTES // row_bytes))
    return min(range(most, most // 2, -1), key=lambda band: -rows % band)


def band_starts(rows: int, band: int) -> list[int]:
    """The first rows of bands that cover `rows` rows. The last one ends with them, and may repeat some."""
    return [*range(0, rows - band, band), rows - band]


class InBands:
    """Runs the graph `logits`, loaded as `runner` for features of `band` rows, on features of more."""

    def __init__(self, runner: Runner, band: int, classes: int) -> None:
        self._runner, self._band, self._classes = runner, band, classes

    def __call__(self, *inputs: Values, out: tuple[Array, ...] = ()) -> tuple[Array, ...]:
        features = [np.asarray(values) for values in inputs]
        _, rows, columns, _ = features[0].shape
        (logits,) = out or (np.empty((1, rows, self._classes, columns), np.float32),)
        for first in band_starts(rows, self._band):
            band = slice(first, first + self._band)
            self._runner(*(values[:, band] for values in features), out=(logits[:, band],))
        return (logits,)
