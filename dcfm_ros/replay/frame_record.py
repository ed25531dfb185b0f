"""What is known about each frame of a run. All numbers of a report are computed from these records."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from dcfm_ros.media.health import TOLD

NAN = float("nan")
STEPS = ("convert", "preprocess", "align", "independent", "fuse", "label_map", "publish")


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One input frame: when it came, when its mask came, how, and how good it is. NaN where not known."""

    stamp_ns: int  # header stamp of frame and mask
    sent_ms: float = NAN  # when it was published, or its processing began, since the run's first
    received_ms: float = NAN  # when its mask arrived on the same clock; NaN for a frame without a mask
    key_frame: bool = False  # a refresh of the common feature was asked for here
    trigger: str = ""  # why ("first", "interval", "motion", ...); "" for other frames
    key_stamp_ns: int = 0  # stamp of the key frame whose common feature was used
    age_ms: float = NAN  # of that feature
    age_frames: int = 0
    stale: bool = False  # that feature was older than `max_age_ms`
    moved: bool = False  # the mask is the one before, moved along the flow
    motion: float = NAN  # since the key frame, as the trigger measures it
    agreement: float = NAN  # share (0-1) of pixels that old and new common feature label alike
    steps: dict[str, float] = field(default_factory=dict)  # milliseconds by processing step, see `STEPS`
    common_ms: float = NAN  # duration of the newest common branch
    confidence: float = NAN  # mean of the mask's, 0-1
    flow_consistency: float = NAN  # share (0-1) of pixels that keep their label along the flow
    accuracy: float = NAN  # share (0-1) of labelled pixels that are right
    shares: tuple[float, ...] = ()  # of each class in the mask, 0-1

    @property
    def latency_ms(self) -> float:
        """From handing the frame over to its mask; NaN for a frame without a mask."""
        return self.received_ms - self.sent_ms

    @property
    def lost(self) -> bool:
        """No mask came for this frame."""
        return math.isnan(self.received_ms)


def from_timing(timing: Any) -> dict[str, Any]:
    """Those fields of a record that a Segmentation and a FrameTiming message have under the same names."""
    asked = bool(timing.key_frame or timing.trigger)
    return {"key_frame": asked, **{name: getattr(timing, name) for name in TOLD}}


_MEASURES = tuple(item.name for item in fields(FrameRecord) if item.name not in ("steps", "shares"))
CSV_HEAD = (*_MEASURES, "latency_ms", *(f"{step}_ms" for step in STEPS))


def csv_row(record: FrameRecord) -> list[object]:
    """The record's values under `CSV_HEAD`."""
    measures = (getattr(record, name) for name in _MEASURES)
    return [*measures, record.latency_ms, *(record.steps.get(step, NAN) for step in STEPS)]
