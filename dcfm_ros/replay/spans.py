"""A recording in time spans, with the same numbers for each, so that a bad minute does not hide in a good hour."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix, VideoConsistency
from dcfm_ros.measure.spread import Distribution
from dcfm_ros.replay.frame_record import FrameRecord

DEFAULT_SPAN_S = 10.0


def total(matrices: Iterable[ConfusionMatrix | None]) -> ConfusionMatrix | None:
    """The sum of those that are there; None where none is."""
    known = [matrix for matrix in matrices if matrix is not None]
    return functools.reduce(operator.add, known) if known else None


@dataclass(frozen=True)
class SpanNumbers:
    """The numbers of a span; shares are 0-1, NaN where not known.

    start_s: since the run's first frame. latency_p95: milliseconds.
    """

    first: int
    frames: int
    lost: int
    key_frames: int
    start_s: float
    duration_s: float
    latency_p95: float
    mean_iou: float
    pixel_accuracy: float
    agreement: float
    consistency: float
    confidence: float
    video_consistency: dict[int, float]
    per_class_iou: dict[str, float]


@dataclass
class Span:
    """A part of a recording between two breaks (a jump in time, another image size), at most some seconds long.

    first: index of its first record. labelled: how many frames have a label. confusion: of these, None without any.
    """

    first: int
    video: VideoConsistency
    labelled: int = 0
    confusion: ConfusionMatrix | None = None

    def compare(self, mask: np.ndarray, label: np.ndarray, matrix: ConfusionMatrix) -> None:
        """A labelled frame: uint8 H×W masks of one size, and their confusion matrix."""
        self.labelled += 1
        self.confusion = total((self.confusion, matrix))
        self.video.add(mask, label)

    def numbers(
        self, records: Sequence[FrameRecord], run_start_ns: int, classes: Sequence[str]
    ) -> SpanNumbers:
        """records: the span's own, at least one. classes: names by id."""
        done = [record for record in records if not record.lost]
        latency = Distribution.of([record.latency_ms for record in done])
        matrix = self.confusion

        def mean(name: str) -> float:
            spread = Distribution.of([getattr(record, name) for record in done])
            return spread.mean if spread else math.nan

        return SpanNumbers(
            first=self.first,
            frames=len(records),
            lost=len(records) - len(done),
            key_frames=sum(record.key_frame for record in done),
            start_s=(records[0].stamp_ns - run_start_ns) / 1e9,
            duration_s=(records[-1].stamp_ns - records[0].stamp_ns) / 1e9,
            latency_p95=latency.percentiles[95] if latency else math.nan,
            mean_iou=matrix.mean_iou if matrix else math.nan,
            pixel_accuracy=matrix.pixel_accuracy if matrix else math.nan,
            agreement=mean("agreement"),
            consistency=mean("consistency"),
            confidence=mean("confidence"),
            video_consistency={window: self.video.value(window) for window in CONSISTENCY_WINDOWS},
            per_class_iou=dict(zip(classes, matrix.per_class_iou.tolist(), strict=False)) if matrix else {},
        )
