"""The tables of one run's report, for the page and for the terminal, and its summary for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS
from dcfm_ros.measure.spread import PERCENTILES
from dcfm_ros.measure.table import Column, Table, counted, number, percent
from dcfm_ros.replay.report.charts import StepTime
from dcfm_ros.replay.report.report import Report
from dcfm_ros.replay.summary import SpanNumbers, Summary

_MIN_WIDTH = 72


def latency(summary: Summary) -> Table:
    """Milliseconds of all frames, of key frames and of the others."""
    kinds = {"all": summary.latency, "key": summary.latency_key, "other": summary.latency_other}
    rows = tuple(
        (f"{kind} frames", str(of.count), *(f"{ms:.1f}" for ms in (*of.percentiles.values(), of.maximum)))
        for kind, of in kinds.items()
        if of is not None
    )
    return Table(("latency, ms", "frames", *(f"p{p}" for p in PERCENTILES), "max"), rows)


_WHY = {
    "first": "at the start",
    "interval": "by the number of frames",
    "max_age": "by age",
    "reset": "after a reset",
    "service": "asked for",
    "requested": "asked for",
}


def triggers(summary: Summary) -> str:
    """Why there were key frames, and how often: "5 by time, 1 at the start"; "" where there were none."""
    return ", ".join(f"{count} {_WHY.get(why, f'by {why}')}" for why, count in summary.key_frames.items())


def steps(times: Sequence[StepTime]) -> Table:
    """Mean milliseconds by processing step; key frames only where their times differ."""
    key = [("key frames", "{:.2f}".format, "key_ms")] if any(step.key_ms for step in times) else []
    return Table.of(times, [("step", str, "name"), *key, ("other frames", "{:.2f}".format, "other_ms")])


def spans(found: Sequence[SpanNumbers]) -> Table:
    """A row for every time span, with what is known of it."""
    columns: list[Column[SpanNumbers]] = [
        ("from", lambda s: f"{s.start_s:.1f} s"),
        ("for", lambda s: f"{s.duration_s:.1f} s"),
        "frames",
        "lost",
        "key_frames",
        ("p95 ms", number, "latency_p95"),
        ("mIoU", percent, "mean_iou"),
        *((f"VC{w}", lambda s, w=w: percent(s.video_consistency[w])) for w in CONSISTENCY_WINDOWS),
        *(
            (name.replace("_", " "), percent, name)
            for name in ("agreement", "flow_consistency", "confidence")
        ),
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


def stages(counts: dict[str, int]) -> dict[str, str]:
    """How many frames each process of a live run has seen, in words."""
    words = {
        "Published by the player": "{published}",
        "Received by the node": "{received}",
        "Segmented by the node": "{segmented}, {replaced} replaced by newer ones, {failed} failed",
        "Recorded": "{masks} masks, {images} images",
    }
    return {name: form.format(**counts) for name, form in words.items()}


def summary_text(report: Report) -> str:
    """The summary as lines of text, without a trailing newline."""
    summary = report.summary
    extra, why = report.extra, triggers(summary)
    odd = [
        f"{extra[name]} {name.replace('_', ' ')}" for name in ("duplicates", "out_of_order") if name in extra
    ]
    frames = {
        "frames in": f"{summary.frames_in}{_rate(1e3 / report.interval_ms if report.interval_ms else None)}",
        "masks out": f"{summary.masks_out}{_rate(summary.frame_rate)}",
        "lost": ", ".join([str(summary.lost), *odd]),
        "key frames": f"{summary.key_frame_count}: {why}" if why else "0",
    }
    if summary.stale:
        frames["stale"] = f"{counted(summary.stale, 'mask')} from a common feature older than max_age_ms"
    if summary.moved:
        frames["moved"] = (
            f"{counted(summary.moved, 'mask')} moved along the flow, without an independent feature"
        )
    if summary.common_ms is not None and summary.common_ms.maximum > 0:
        frames["common branch"] = f"{number(summary.common_ms.mean)} ms on average, once per key frame"
    blocks = [_lines(frames), latency(summary).text(), _lines(_quality(report))]
    return titled(report.title, blocks, report.remarks)


def titled(title: str, blocks: Sequence[str], notes: Sequence[str]) -> str:
    """A line with the title, the blocks that are not empty, indented, and the notes."""
    body = "\n\n".join(block for block in blocks if block).splitlines()
    lines = [f"  {line}".rstrip() for line in [*body, *(f"note: {note}" for note in notes)]]
    return "\n".join([f"── {title} ".ljust(_MIN_WIDTH, "─"), *lines])


def _lines(values: dict[str, str]) -> str:
    return "\n".join(f"{name:<16} {value}" for name, value in values.items())


def _rate(hz: float | None) -> str:
    return f" at {hz:.2f} Hz" if hz else ""


def _quality(report: Report) -> dict[str, str]:
    summary, lines = report.summary, {}
    if report.mean_iou is not None and report.run.confusion is not None:
        lines["mIoU"] = f"{percent(report.mean_iou, 2)} on {report.run.labelled} labelled frames"
        lines["pixel accuracy"] = percent(report.run.confusion.pixel_accuracy, 2)
        for window, value in report.run.video_consistency().items():
            if not math.isnan(value):
                lines[f"VC{window}"] = percent(value, 2)
    if report.run.latest_mask is not None:
        iou = percent(report.run.latest_mask.mean_iou, 2)
        lines["mIoU, latest"] = f"{iou} for the newest mask finished when each frame arrives"
    if summary.agreement is not None:
        mean, lowest = percent(summary.agreement.mean, 2), percent(summary.agreement.minimum, 2)
        lines["reuse agreement"] = f"{mean} of the pixels, {lowest} at the lowest"
    if summary.flow_consistency is not None:
        mean = percent(summary.flow_consistency.mean, 2)
        lines["flow consistency"] = f"{mean} of the pixels keep their label along the flow"
    return lines
