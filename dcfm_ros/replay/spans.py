"""A recording in time spans, with the same numbers for each, so that a bad minute does not hide in a good hour."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix, VideoConsistency
from dcfm_ros.measure.spread import Distribution
from dcfm_ros.replay.frame_record import FrameRecord

DEFAULT_SPAN_S = 10.0


@dataclass
class Span:
    """A part of a recording between two breaks (a jump in time, another image size), at most some seconds long.

    first: index of its first record. frames: how many records it has. start_ns, end_ns: stamps of first and last.
    labelled: how many frames have a label. confusion: of these, None without any.
    """

    first: int
    start_ns: int
    end_ns: int
    video: VideoConsistency
    frames: int = 0
    labelled: int = 0
    confusion: ConfusionMatrix | None = None

    def compare(self, mask: np.ndarray, label: np.ndarray, matrix: ConfusionMatrix) -> None:
        """A labelled frame: uint8 H×W masks of one size, and their confusion matrix."""
        self.labelled += 1
        self.confusion = total((self.confusion, matrix))
        self.video.add(mask, label)


def total(matrices: Iterable[ConfusionMatrix | None]) -> ConfusionMatrix | None:
    """The sum of those that are there; None where none is."""
    known = [matrix for matrix in matrices if matrix is not None]
    return functools.reduce(operator.add, known) if known else None


@dataclass
class Spans:
    """Cuts a run into spans while its frames come in.

    Args:
        num_classes: of the model.
        seconds: the longest a span gets, in message time.
    """

    num_classes: int
    seconds: float = DEFAULT_SPAN_S
    all: list[Span] = field(default_factory=list)

    def at(self, index: int, stamp_ns: int, *, cut: bool = False) -> Span:
        """The span of the record with this index; starts a new one after a cut, or when the last is full."""
        last = self.all[-1] if self.all else None
        if last is None or cut or not 0 <= stamp_ns - last.start_ns < self.seconds * 1e9:
            if last is not None:
                last.video.next_video()  # it is finished: its per-pixel state can go
            last = Span(index, stamp_ns, stamp_ns, VideoConsistency(num_classes=self.num_classes))
            self.all.append(last)
        last.frames += 1
        last.end_ns = stamp_ns
        return last


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
    per_class_iou: tuple[float, ...]

    def as_json(self, classes: Sequence[str]) -> dict[str, Any]:
        values = dict(vars(self))
        values["per_class_iou"] = dict(zip(classes, self.per_class_iou, strict=False))
        return values


def numbers_of(spans: Sequence[Span], records: Sequence[FrameRecord]) -> list[SpanNumbers]:
    """The numbers of every span, from the records of the whole run."""
    return [_numbers(span, records, spans[0].start_ns) for span in spans]


def _numbers(span: Span, records: Sequence[FrameRecord], run_start_ns: int) -> SpanNumbers:
    part = records[span.first : span.first + span.frames]
    done = [record for record in part if not record.lost]
    latency = Distribution.of([record.latency_ms for record in done])
    matrix = span.confusion
    return SpanNumbers(
        first=span.first,
        frames=len(part),
        lost=len(part) - len(done),
        key_frames=sum(record.key_frame for record in done),
        start_s=(span.start_ns - run_start_ns) / 1e9,
        duration_s=(span.end_ns - span.start_ns) / 1e9,
        latency_p95=latency.percentiles[95] if latency else math.nan,
        mean_iou=matrix.mean_iou if matrix else math.nan,
        pixel_accuracy=matrix.pixel_accuracy if matrix else math.nan,
        agreement=_mean([record.agreement for record in done]),
        consistency=_mean([record.consistency for record in done]),
        confidence=_mean([record.confidence for record in done]),
        video_consistency={window: span.video.value(window) for window in CONSISTENCY_WINDOWS},
        per_class_iou=tuple(matrix.per_class_iou.tolist()) if matrix else (),
    )


def _mean(values: Sequence[float]) -> float:
    spread = Distribution.of(values)
    return spread.mean if spread else math.nan
