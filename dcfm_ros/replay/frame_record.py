"""What is known about each frame of a run. All numbers of a report are computed from these records."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np

NAN = float("nan")
STEPS = ("convert", "preprocess", "independent", "fuse", "label_map", "publish")


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One input frame: when it came, when its mask came, how, and how good it is. NaN where not known.

    Attributes:
        stamp_ns: header stamp of frame and mask.
        sent_ms: when the frame was handed over (published; or its processing began), since the run's first.
        received_ms: when its mask arrived on the same clock; NaN for a frame without a mask.
        key_frame: a refresh of the common feature was asked for at this frame.
        trigger: why ("first", "interval", "motion", ...), "" for other frames.
        key_stamp_ns: stamp of the key frame whose common feature was used.
        age_ms, age_frames: how old that feature was.
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
    names = ("trigger", "age_ms", "age_frames", "motion", "agreement")
    asked = bool(timing.key_frame or timing.trigger)
    return {"key_frame": asked, **{name: getattr(timing, name) for name in names}}


_MEASURES = tuple(item.name for item in fields(FrameRecord) if item.name not in ("steps", "shares"))
CSV_HEAD = (*_MEASURES, "latency_ms", *(f"{step}_ms" for step in STEPS))


def csv_row(record: FrameRecord) -> list[object]:
    """The record's values under `CSV_HEAD`."""
    measures = (getattr(record, name) for name in _MEASURES)
    return [*measures, record.latency_ms, *(record.steps.get(step, NAN) for step in STEPS)]


class ConsistencyMeter:
    """Share of pixels that keep their label along the optical flow from one frame to the next.

    Labels that flicker lower it, without any ground truth; so do labels that stay behind when things move. Flow (DIS)
    is estimated on grey images of at most 320 pixels width; pixels that the flow does not explain (occlusions, the
    image's border) are left out.
    """

    _WIDTH = 320
    _EXPLAINED = 20  # grey levels

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grey: np.ndarray | None = None
        self._mask: np.ndarray | None = None

    def step(self, rgb: np.ndarray, mask: np.ndarray) -> float:
        """Consistency of this mask with the one before, 0-1; NaN for the first frame and after a change of size.

        Args:
            rgb: uint8 H×W×3.
            mask: uint8 h×w class ids of the same picture, any size.
        """
        width = min(self._WIDTH, rgb.shape[1])
        size = (width, max(16, round(rgb.shape[0] * width / rgb.shape[1])))
        grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        small = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        before, mask_before = self._grey, self._mask
        self._grey, self._mask = grey, small
        if before is None or mask_before is None or before.shape != grey.shape:
            return NAN
        # Flow from this frame back to the one before, so that every pixel of this frame gets one answer.
        flow = self._flow.calc(grey, before, np.zeros((*grey.shape, 2), np.float32))
        x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
        x, y = x + flow[..., 0], y + flow[..., 1]
        warped = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        expected = cv2.remap(mask_before, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        inside = (x >= 0) & (y >= 0) & (x <= size[0] - 1) & (y <= size[1] - 1)
        valid = inside & (cv2.absdiff(warped, grey) < self._EXPLAINED)
        return float(np.mean(expected[valid] == small[valid])) if valid.any() else NAN
