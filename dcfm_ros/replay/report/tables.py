"""The tables of one run's report, for the page and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS
from dcfm_ros.measure.spread import PERCENTILES
from dcfm_ros.measure.table import Table, number, percent
from dcfm_ros.replay.report.charts import StepTime
from dcfm_ros.replay.report.report import Report
from dcfm_ros.replay.summary import SpanNumbers, Summary


def latency(summary: Summary) -> Table:
    """Milliseconds of all frames, of key frames and of the others."""
    kinds = (
        ("all frames", summary.latency),
        ("key frames", summary.latency_key),
        ("other frames", summary.latency_other),
    )
    rows = tuple(
        (name, str(found.count), *(f"{ms:.1f}" for ms in (*found.percentiles.values(), found.maximum)))
        for name, found in kinds
        if found is not None
    )
    return Table(("latency, ms", "frames", *(f"p{p}" for p in PERCENTILES), "max"), rows)


def steps(times: Sequence[StepTime]) -> Table:
    """Mean milliseconds by processing step; key frames only where their times differ."""
    key = [("key frames", lambda step: f"{step.key_ms:.2f}")] if any(step.key_ms for step in times) else []
    other: Callable[[StepTime], str] = lambda step: f"{step.other_ms:.2f}"  # noqa: E731
    return Table.of(times, [("step", lambda step: step.name), *key, ("other frames", other)])


def spans(found: Sequence[SpanNumbers]) -> Table:
    """A row for every time span, with what is known of it."""
    columns: list[tuple[str, Callable[[SpanNumbers], str]]] = [
        ("from", lambda s: f"{s.start_s:.1f} s"),
        ("for", lambda s: f"{s.duration_s:.1f} s"),
        ("frames", lambda s: str(s.frames)),
        ("lost", lambda s: str(s.lost)),
        ("key frames", lambda s: str(s.key_frames)),
        ("p95 ms", lambda s: number(s.latency_p95)),
        ("mIoU", lambda s: percent(s.mean_iou)),
        *((f"VC{w}", lambda s, w=w: percent(s.video_consistency[w])) for w in CONSISTENCY_WINDOWS),
        ("agreement", lambda s: percent(s.agreement)),
        ("flow consistency", lambda s: percent(s.consistency)),
        ("confidence", lambda s: percent(s.confidence)),
    ]
    return Table.of(found, columns).without_empty_columns()


def classes(report: Report) -> Table | None:
    """Each class's share of the masks, and its IoU where there are labels; None where no frame has shares."""
    shares = [record.shares for record in report.run.records if record.shares]
    if not shares:
        return None
    names = zip(report.run.card.classes, np.mean(shares, axis=0), strict=False)
    rows = [(name, percent(float(share))) for name, share in names]
    if report.run.confusion is None:
        return Table(("class", "share of the masks"), tuple(rows))
    return Table(
        ("class", "share of the masks", "IoU"),
        tuple(
            (*row, iou(value)) for row, value in zip(rows, report.run.confusion.per_class_iou, strict=False)
        ),
    )


def iou(value: float) -> str:
    """A class's IoU, 0-1, in words; NaN for a class without a labelled pixel."""
    return "not in the labels" if math.isnan(value) else percent(value)


def accuracy(report: Report) -> list[str]:
    """The measures of accuracy over all classes, in words; empty without labels."""
    if report.run.confusion is None:
        return []
    measures = {
        "mIoU": report.run.confusion.mean_iou,
        "weighted IoU": report.run.confusion.weighted_iou,
        "pixel accuracy": report.run.confusion.pixel_accuracy,
        **{f"VC{window}": value for window, value in report.run.video_consistency().items()},
    }
    return [f"{name} {percent(value, 2)}" for name, value in measures.items() if not math.isnan(value)]
