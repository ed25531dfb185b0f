"""Triggers in words: as they are written on a command line, `motion:0.1+interval:10`, and as a report tells them."""

from __future__ import annotations

import re
from typing import Any

from dcfm_ros.config import from_text
from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.config import StreamConfig

# Each word, with the units its number may have and the field of StreamConfig that each sets.
_FIELDS = {
    "interval": {"": "key_interval"},
    "time": {"": "key_period_ms"},
    "motion": {"": "motion_threshold"},
    "odometry": {"m": "odometry_distance_m", "deg": "odometry_angle_deg"},
    "disagreement": {"": "disagreement"},
    "max_age": {"": "max_age_ms"},
}
HOW_TO_WRITE = (
    "interval:10 (frames), time:500 (ms), motion:0.1 (0-1), odometry:1.5m or odometry:20deg (where frames come with "
    "odometry), disagreement:0.05 (0-1), max_age:1000 (ms); combined like motion:0.1+interval:10"
)
# Every trigger off but `max_age`, which always is on.
OFF: dict[str, Any] = {
    name: 0 for word, units in _FIELDS.items() if word != "max_age" for name in units.values()
}
_WORDS = {
    "key_interval": "every {} frames",
    "key_period_ms": "every {:g} ms",
    "motion_threshold": "motion above {:g}",
    "odometry_distance_m": "after moving {:g} m",
    "odometry_angle_deg": "after turning {:g}°",
    "disagreement": "disagreement above {:g}",
    "phase": "the first period shorter by {:.0%}",
    "max_age_ms": "at the latest after {:g} ms",
}
NEVER_MS = 1e12  # a `max_age` that no stream reaches


def parse_triggers(text: str) -> dict[str, Any]:
    """`motion:0.1+odometry:2m` as fields of StreamConfig.

    Raises DcfmError for a word that is no trigger (listing those that are) and a number that its trigger cannot have.
    """
    values: dict[str, Any] = {}
    for part in text.split("+"):
        word, _, number = part.partition(":")
        if word not in _FIELDS:
            raise DcfmError(
                f"unknown trigger '{word}' in '{text}'; known: {', '.join(_FIELDS)}; written like motion:0.1, "
                f"combined like motion:0.1+interval:10"
            )
        units = _FIELDS[word]
        unit = next((unit for unit in units if re.fullmatch(rf".*\d\.?{unit}", number)), None)
        if unit is None:
            written = " or ".join(f"{word}:1{unit}" for unit in units)
            raise DcfmError(f"trigger '{part}' needs a number after the colon, as in {written}")
        name = units[unit]
        values[name] = from_text(StreamConfig, name, number.removesuffix(unit), f"{word} in '{text}'")
    return values


def in_words(config: StreamConfig) -> str:
    """When a stream refreshes its common feature: "every 10 frames, motion above 0.4, at the latest after 3000 ms"."""
    values = {name: getattr(config, name) for name in _WORDS}
    if not config.key_interval and not config.key_period_ms:
        del values["phase"]
    return ", ".join(_WORDS[name].format(value) for name, value in values.items() if value)
