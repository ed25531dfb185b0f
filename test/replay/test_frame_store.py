"""Records on disk are what they were in memory."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.replay.frame_record import STEPS, FrameRecord
from dcfm_ros.replay.frame_store import FrameStore

NUMBERS = st.floats(allow_infinity=False)
RECORDS = st.builds(
    FrameRecord,
    stamp_ns=st.integers(-(2**62), 2**62),
    sent_ms=NUMBERS,
    received_ms=NUMBERS,
    key_frame=st.booleans(),
    trigger=st.sampled_from(["", "first", "motion", "a reason of my own"]),
    key_stamp_ns=st.integers(0, 2**62),
    age_frames=st.integers(0, 10**6),
    agreement=NUMBERS,
    steps=st.dictionaries(st.sampled_from(STEPS), st.floats(0, 1e6)),
    shares=st.sampled_from([(), (0.5, 0.25, 0.25)]),
)


def same(a, b):
    for name in FrameRecord.__slots__:
        x, y = getattr(a, name), getattr(b, name)
        assert x == y or (isinstance(x, float) and math.isnan(x) and math.isnan(y)), name


@given(records=st.lists(RECORDS, max_size=12), copies=st.integers(1, 120))
@settings(deadline=None, max_examples=30)
def test_what_goes_in_comes_out(records, copies):
    store, many = FrameStore(), records * copies
    for record in many:
        store.append(record)
    assert len(store) == len(many)
    for found, wanted in zip(store, many, strict=True):
        same(found, wanted)
    for index in (0, len(many) // 2, len(many) - 1, -1):
        if many:
            same(store[index], many[index])
    for found, wanted in zip(store[5:1100:3], many[5:1100:3], strict=True):
        same(found, wanted)


def test_indices_that_do_not_exist():
    store = FrameStore()
    with pytest.raises(IndexError):
        store[0]
    store.append(FrameRecord(1))
    with pytest.raises(IndexError):
        store[1]
    assert bool(store)
