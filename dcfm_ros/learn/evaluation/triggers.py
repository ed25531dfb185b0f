"""From what the command line says about key frames to the stream's configuration."""

from __future__ import annotations

from typing import Any

from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.config import StreamConfig

# A word for each trigger that needs nothing but the images and their stamps: the field it sets, and its type.
TRIGGERS: dict[str, tuple[str, type]] = {
    "interval": ("key_interval", int),
    "time": ("key_period_ms", float),
    "motion": ("motion_threshold", float),
    "disagreement": ("disagreement", float),
    "max_age": ("max_age_ms", float),
}


def parse_trigger(text: str) -> dict[str, Any]:
    """`motion:0.1` or `motion:0.1+interval:10` as fields of StreamConfig; DcfmError naming what is wrong."""
    fields: dict[str, Any] = {}
    for part in text.split("+"):
        word, _, value = part.partition(":")
        if word not in TRIGGERS:
            raise DcfmError(
                f"unknown trigger '{word}' in '{text}'; known: {', '.join(TRIGGERS)}; written like "
                f"motion:0.1, combined like motion:0.1+interval:10"
            )
        field, kind = TRIGGERS[word]
        try:
            fields[field] = kind(value)
        except ValueError:
            noun = "a whole number" if kind is int else "a number"
            raise DcfmError(
                f"trigger '{part}' needs {noun} after the colon, as in {word}:{kind(10)}"
            ) from None
    StreamConfig(**fields)  # says what is wrong with a value
    return fields
