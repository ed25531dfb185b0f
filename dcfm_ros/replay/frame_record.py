"""What is known about each frame of a run. All numbers of a report are computed from these records."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

NAN = float("nan")
STEPS = ("convert", "preprocess", "align", "independent", "fuse", "label_map", "publish")


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One input frame: when it came, when its mask came, how, and how good it is. NaN where not known.

    stamp_ns: header stamp of frame and mask.
    sent_ms: when the frame was handed over (published; or its processing began), since the run's first.
    received_ms: when its mask arrived on the same clock; NaN for a frame without a mask.
    key_frame: a refresh of the common feature was asked for at this frame.
    trigger: why ("first", "interval", "motion", ...), "" for other frames.
    key_stamp_ns: stamp of the key frame whose common feature was used.
    age_ms, age_frames: how old that feature was.
    stale: that feature was older than `max_age_ms`.
    moved: the mask is the one before, moved along the flow.
    motion: image motion since the key frame, as the trigger measures it.
    agreement: share of pixels that old and new common feature label alike, 0-1.
    steps: milliseconds by processing step, see `STEPS`.
    common_ms: duration of the newest common branch.
    confidence: mean confidence of the mask, 0-1.
    consistency: share of pixels keeping their label along the optical flow from the frame before, 0-1.
    accuracy: share of labelled pixels that are right, 0-1.
    shares: share of each class in the mask, 0-1.
    """

    stamp_ns: int
    sent_ms: float = NAN
    received_ms: float = NAN
    key_frame: bool = False
    trigger: str = ""
    key_stamp_ns: int = 0
    age_ms: float = NAN
    age_frames: int = 0
    stale: bool = False
    moved: bool = False
    motion: float = NAN
    agreement: float = NAN
    steps: dict[str, float] = field(default_factory=dict)
    common_ms: float = NAN
    confidence: float = NAN
    consistency: float = NAN
    accuracy: float = NAN
    shares: tuple[float, ...] = ()

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
    names = ("trigger", "age_ms", "age_frames", "stale", "moved", "motion", "agreement")
    asked = bool(timing.key_frame or timing.trigger)
    return {"key_frame": asked, **{name: getattr(timing, name) for name in names}}


_MEASURES = tuple(item.name for item in fields(FrameRecord) if item.name not in ("steps", "shares"))
CSV_HEAD = (*_MEASURES, "latency_ms", *(f"{step}_ms" for step in STEPS))


def csv_row(record: FrameRecord) -> list[object]:
    """The record's values under `CSV_HEAD`."""
    measures = (getattr(record, name) for name in _MEASURES)
    return [*measures, record.latency_ms, *(record.steps.get(step, NAN) for step in STEPS)]
