"""Medians, quartiles, percentiles, and ratios that are taken within each round."""

import numpy as np
import pytest

from dcfm_lab.measure.spread import amortised, ratio, spread
from dcfm_ros.measure.spread import Distribution


def test_spread_is_the_median_with_its_quartiles():
    found = spread([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.q1, found.median, found.q3, found.count) == (2.0, 3.0, 4.0, 5)


def test_spread_of_one_value_has_no_width():
    found = spread([7.0])
    assert found.q1 == found.median == found.q3 == 7.0


def test_a_ratio_is_that_of_each_round_not_of_the_medians():
    # Round by round 2, 3 and 4 times; the quotient of the medians would be 30 / 8.
    assert ratio([20.0, 24.0, 400.0], [10.0, 8.0, 100.0]).median == 3.0


def test_rounds_of_different_runs_have_no_ratio():
    with pytest.raises(ValueError):
        ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("interval", "expected"), [(1, [10.0, 20.0]), (5, [2.8, 4.8])])
def test_amortised_cost_has_one_key_frame_per_interval(interval, expected):
    assert amortised([10.0, 20.0], [1.0, 1.0], interval) == pytest.approx(expected)


def test_the_distribution_of_what_is_known():
    found = Distribution.of([float("nan"), 1.0, 3.0, 2.0])
    assert (found.count, found.mean, found.minimum, found.maximum) == (3, 2, 1, 3)
    assert found.as_json() == {"count": 3, "mean": 2, "min": 1, "max": 3} | {
        f"p{p}": pytest.approx(np.percentile([1, 2, 3], p)) for p in (50, 95, 99)
    }
    assert Distribution.of([]) is Distribution.of([float("nan")]) is None
