"""Stamps and nanoseconds."""

from types import SimpleNamespace

import pytest

from dcfm_ros.stamps import set_ns, to_ns


@pytest.mark.parametrize("stamp", [(0, 0), (12, 999_999_999), (2**31 - 1, 2**32 - 1)])
def test_a_stamp_comes_back_as_it_was(stamp):
    set_ns(again := SimpleNamespace(), to_ns(SimpleNamespace(sec=stamp[0], nanosec=stamp[1])))
    assert (again.sec, again.nanosec) == stamp
