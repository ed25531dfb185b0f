"""What tests of the public doors share: how much they try, and what a door may answer."""

import functools
import os
import time
from collections import Counter

from hypothesis import HealthCheck, given, settings

from dcfm_ros.errors import DcfmError

MINUTES = float(os.environ.get("DCFM_FUZZ_MINUTES", 0))
"""How long `make fuzz` tries further examples, over all tests; 0: the same few each time, as part of all tests."""
TRIED: Counter[str] = Counter()
"""Examples by test."""


def door(examples, **strategies):
    """A test of a door with what these strategies make: as many examples, or under `make fuzz`, again and again as many."""
    limits = settings(
        max_examples=examples,
        derandomize=not MINUTES,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )

    def decorate(test):
        @functools.wraps(test)
        def counted(*args, **kwargs):
            TRIED[test.__name__] += 1
            return test(*args, **kwargs)

        tried = limits(given(**strategies)(counted))
        tried.is_door = True
        return tried

    return decorate


def rounds(seconds):
    """Yields until so many seconds are over, at least once."""
    end = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() >= end:
            return


def answer(call, *args, error=DcfmError, **kwargs):
    """What a door says; None where it refuses, with a message that can be printed. Any other exception is a fault."""
    try:
        return call(*args, **kwargs)
    except error as refused:
        assert str(refused).strip()
        return None
