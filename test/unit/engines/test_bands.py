"""Bands cover all rows, and what is computed in them is what is computed at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcfm_ros.engines.bands import BAND_BYTES, InBands, band_rows, band_starts


@given(rows=st.integers(1, 400), row_bytes=st.integers(1, 3 * BAND_BYTES), threads=st.integers(1, 16))
def test_bands_fit_and_cover_all_rows(rows, row_bytes, threads):
    band = band_rows(rows, row_bytes, threads)
    assert 1 <= band <= rows and (band == 1 or band * row_bytes <= threads * BAND_BYTES)
    starts = band_starts(rows, band)
    assert {row for first in starts for row in range(first, first + band)} == set(range(rows))
    assert len(starts) == -(-rows // band) and starts == sorted(starts)


@pytest.mark.parametrize(
    ("rows", "fit", "band"),
    [
        (120, 9, 8),  # 15 bands of 8 rows; 14 of 9 would compute 6 rows twice
        (120, 200, 120),
        (13, 4, 3),  # no more than half of what fits is given up
        (7, 1, 1),
    ],
)
def test_the_last_band_repeats_few_rows(rows, fit, band):
    assert band_rows(rows, BAND_BYTES // fit, 1) == band


@pytest.mark.parametrize("band", [1, 3, 4, 11, 12])
def test_a_graph_in_bands_gives_what_it_gives_at_once(band):
    asked = []

    def graph(common, independent, out):
        assert common.flags.c_contiguous and independent.flags.c_contiguous
        asked.append(common.shape[1])
        (logits,) = out
        logits[...] = np.stack([common.sum(3), independent.sum(3), common[..., 0]], axis=2)
        return out

    rng = np.random.default_rng(0)
    common, independent = rng.random((1, 12, 5, 4), np.float32), rng.random((1, 12, 5, 2), np.float32)
    (logits,) = InBands(graph, band, 3)(common, independent)
    expected = np.empty_like(logits)
    graph(common, independent, (expected,))
    assert np.array_equal(logits, expected) and set(asked[:-1]) == {band}
    written = np.empty_like(logits)
    assert InBands(graph, band, 3)(common, independent, out=(written,))[0] is written
    assert np.array_equal(written, expected)
