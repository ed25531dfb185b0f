"""What is known of each frame of a run, and the numbers of the run and of its time spans, all computed from these records."""

from __future__ import annotations

import functools
import math
import operator
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix, VideoConsistency
from dcfm_ros.measure.spread import Distribution
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


@dataclass(frozen=True)
class Summary:
    """The numbers of a run. Spreads are over the frames where a value is known; None where it is nowhere."""

    frames_in: int
    masks_out: int
    lost: int  # frames without a mask
    stale: int  # masks made from a common feature older than `max_age_ms`
    moved: int  # masks moved along the flow
    frame_rate_in: float | None  # frames per second handed over, counted as ros2_benchmark does
    frame_rate: float | None  # masks per second between the first and the last, counted so, too
    key_frames: dict[str, int]  # frames at which the common feature was refreshed, by trigger
    latency: Distribution | None  # milliseconds from frame to mask, as the next two
    latency_key: Distribution | None
    latency_other: Distribution | None
    age_ms: Distribution | None
    agreement: Distribution | None
    motion: Distribution | None
    confidence: Distribution | None
    flow_consistency: Distribution | None
    common_ms: Distribution | None
    steps: dict[str, Distribution]  # milliseconds
    benchmark: dict[str, float]  # the metrics of ros2_benchmark, by its names

    @property
    def key_frame_count(self) -> int:
        return sum(self.key_frames.values())


def key_and_other(records: Sequence[FrameRecord]) -> list[list[FrameRecord]]:
    """Frames with a mask: key frames, and the others."""
    return [[r for r in records if not r.lost and r.key_frame is key] for key in (True, False)]


def summarise(records: Sequence[FrameRecord]) -> Summary:
    """The summary of a run's records, which are in the order the frames were sent."""
    done = [record for record in records if not record.lost]
    key, other = key_and_other(records)
    benchmark = benchmark_metrics(records)
    steps = {step: Distribution.of([record.steps.get(step, math.nan) for record in done]) for step in STEPS}

    def spread(name: str, of: Sequence[FrameRecord] = done) -> Distribution | None:
        return Distribution.of([getattr(record, name) for record in of])

    return Summary(
        frames_in=len(records),
        masks_out=len(done),
        lost=len(records) - len(done),
        stale=sum(record.stale for record in done),
        moved=sum(record.moved for record in done),
        frame_rate_in=benchmark.get("MEAN_PLAYBACK_FRAME_RATE"),
        frame_rate=benchmark.get("MEAN_FRAME_RATE"),
        key_frames=dict(Counter(record.trigger or "requested" for record in key).most_common()),
        latency=spread("latency_ms"),
        latency_key=spread("latency_ms", key),
        latency_other=spread("latency_ms", other),
        **{
            name: spread(name) for name in ("age_ms", "agreement", "motion", "confidence", "flow_consistency")
        },
        common_ms=Distribution.of(_each_once([record.common_ms for record in done])),
        steps={step: value for step, value in steps.items() if value is not None},
        benchmark=benchmark,
    )


def _each_once(values: Sequence[float]) -> list[float]:
    """A message repeats the last common branch's duration until the next one is done: count each once."""
    return [value for before, value in zip([math.nan, *values], values, strict=False) if value != before]


def benchmark_metrics(records: Sequence[FrameRecord]) -> dict[str, float]:
    """The metrics of NVIDIA's ros2_benchmark that mean the same here, under its names: milliseconds and Hz.

    Rates are frames divided by the time from the first to the last one; jitter is the absolute change from one
    interval between masks to the next. What needs more frames than there are is left out.
    """
    sent = np.asarray([record.sent_ms for record in records], float)
    done = [record for record in records if not record.lost]
    received = np.sort(np.asarray([record.received_ms for record in done], float))
    latency = np.asarray([record.latency_ms for record in done], float)
    metrics: dict[str, float] = {
        "NUM_FRAMES_SENT": len(records),
        "NUM_MISSED_FRAMES": len(records) - len(done),
    }
    if len(sent) > 1 and sent[-1] > sent[0]:
        metrics["MEAN_PLAYBACK_FRAME_RATE"] = len(sent) / (sent[-1] - sent[0]) * 1e3
    if len(received):
        metrics["RECEIVED_DURATION"] = received[-1] - received[0]
        metrics["FIRST_SENT_RECEIVED_LATENCY"] = received[0] - sent[0]
        metrics["LAST_SENT_RECEIVED_LATENCY"] = received[-1] - sent[-1]
        metrics["FIRST_INPUT_LATENCY"] = latency[0]
        metrics["LAST_INPUT_LATENCY"] = latency[-1]
        metrics["MAX_LATENCY"] = latency.max()
        metrics["MIN_LATENCY"] = latency.min()
        metrics["MEAN_LATENCY"] = latency.mean()
    if len(received) > 1 and received[-1] > received[0]:
        metrics["MEAN_FRAME_RATE"] = len(received) / (received[-1] - received[0]) * 1e3
    if len(received) > 2:
        jitter = np.abs(np.diff(received, n=2))
        metrics["MAX_JITTER"] = jitter.max()
        metrics["MIN_JITTER"] = jitter.min()
        metrics["MEAN_JITTER"] = jitter.mean()
        metrics["STD_DEV_JITTER"] = jitter.std()
    return {name: value if isinstance(value, int) else float(value) for name, value in metrics.items()}


def usual_interval_ms(times_ms: Sequence[float]) -> float | None:
    """The median time between two frames; None where there are no two, or stamps stand still. Jumps back do not count."""
    steps = np.diff(np.asarray(times_ms, float))
    forward = steps[steps > 0]
    # A few cameras may be stamped alike.
    return float(np.median(forward)) if 3 * forward.size > (steps == 0).sum() else None


DEFAULT_SPAN_S = 10.0


def total(matrices: Iterable[ConfusionMatrix | None]) -> ConfusionMatrix | None:
    """The sum of those that are there; None where none is."""
    known = [matrix for matrix in matrices if matrix is not None]
    return functools.reduce(operator.add, known) if known else None


@dataclass(frozen=True)
class SpanNumbers:
    """The numbers of a span; shares are 0-1, NaN where not known."""

    first: int
    frames: int
    lost: int
    key_frames: int
    start_s: float  # since the run's first frame
    duration_s: float
    latency_p95: float  # milliseconds
    mean_iou: float
    pixel_accuracy: float
    agreement: float
    flow_consistency: float
    confidence: float
    video_consistency: dict[int, float]
    per_class_iou: dict[str, float]


@dataclass
class Span:
    """A part of a recording between two breaks (a jump in time, another image size), at most some seconds long."""

    first: int  # index of its first record
    video: VideoConsistency
    labelled: int = 0  # how many frames have a label
    confusion: ConfusionMatrix | None = None  # of these, None without any

    def compare(self, mask: np.ndarray, label: np.ndarray, matrix: ConfusionMatrix, camera: Hashable) -> None:
        """A labelled frame of a camera: uint8 H×W masks of one size, and their confusion matrix."""
        self.labelled += 1
        self.confusion = total((self.confusion, matrix))
        self.video.add(mask, label, camera)

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
            **{name: mean(name) for name in ("agreement", "flow_consistency", "confidence")},
            video_consistency={window: self.video.value(window) for window in CONSISTENCY_WINDOWS},
            per_class_iou=dict(zip(classes, matrix.per_class_iou.tolist(), strict=False)) if matrix else {},
        )
