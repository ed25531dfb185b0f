"""Triggers in words, as every command takes them."""

import pytest

from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.trigger_grammar import HOW_TO_WRITE, NEVER_MS, OFF, in_words, parse_triggers


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("motion:0.1", {"motion_threshold": 0.1}),
        ("motion:0.1+interval:10", {"motion_threshold": 0.1, "key_interval": 10}),
        ("time:500+max_age:900", {"key_period_ms": 500.0, "max_age_ms": 900.0}),
        ("disagreement:0.05", {"disagreement": 0.05}),
        ("odometry:1.5m", {"odometry_distance_m": 1.5}),
        ("odometry:2m+odometry:20deg", {"odometry_distance_m": 2.0, "odometry_angle_deg": 20.0}),
        ("time:1e3", {"key_period_ms": 1000.0}),
    ],
)
def test_triggers_are_read(text, fields):
    assert parse_triggers(text) == fields


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed:3", "unknown trigger 'speed' in 'speed:3'; known: interval, time, motion"),
        ("motion", "trigger 'motion' needs a number after the colon, as in motion:1"),
        ("interval:2.5", "interval in 'interval:2.5' is 2.5; expected a whole number"),
        (
            "odometry:2",
            "trigger 'odometry:2' needs a number after the colon, as in odometry:1m or odometry:1deg",
        ),
        ("interval:5m", "trigger 'interval:5m' needs a number"),
        ("interval:x1", "interval in 'interval:x1' is 'x1'; expected a whole number"),
        ("motion:7", "motion in 'motion:7' is 7; expected a number from 0 to 1"),
    ],
)
def test_wrong_triggers_are_told(text, message):
    with pytest.raises(DcfmError, match=message):
        parse_triggers(text)


def test_off_leaves_no_trigger_but_max_age():
    quiet = StreamConfig(**OFF, max_age_ms=NEVER_MS)
    assert {getattr(quiet, name) for name in OFF} == {0}
    on = {
        name
        for name in vars(quiet)
        if any(word in name for word in ("key_", "odometry", "motion", "disagree"))
    }
    assert set(OFF) == on, "a new trigger must have its word"


def test_the_help_shows_only_what_can_be_read():
    words = [part.strip("(),;") for part in HOW_TO_WRITE.split() if ":" in part]
    assert len(words) == 8 and all(parse_triggers(word) for word in words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "at the latest after 3000 ms"),
        ({"phase": 0.5}, "at the latest after 3000 ms"),
        (
            {"key_period_ms": 500, "phase": 0.25},
            "every 500 ms, the first period shorter by 25%, at the latest after 3000 ms",
        ),
        (
            {"odometry_distance_m": 1.5, "odometry_angle_deg": 20, "max_age_ms": 900},
            "after moving 1.5 m, after turning 20°, at the latest after 900 ms",
        ),
        (
            {"key_interval": 5, "motion_threshold": 0.1, "disagreement": 0.05},
            "every 5 frames, motion above 0.1, disagreement above 0.05, at the latest after 3000 ms",
        ),
    ],
)
def test_triggers_are_told(fields, words):
    assert in_words(StreamConfig(**(OFF | fields))) == words
