"""The page of one run: everything it has to say on one HTML page without a single outside link."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.measure.machine import load_json
from dcfm_ros.replay import outputs
from dcfm_ros.replay.outputs import FRAMES, NUMBERS
from dcfm_ros.replay.report import charts, tables
from dcfm_ros.replay.report.files import data_uri, write_csv, write_numbers, write_page
from dcfm_ros.replay.report.report import Report, as_json
from dcfm_ros.replay.summary import CSV_HEAD, FrameRecord, SpanNumbers, csv_row

_MAX_TIPS = 3000
_MAX_SPANS = 40
# A class is named in the viewer's legend if it covers more than this share of some mask.
_MIN_SHARE = 0.001


def write_report(report: Report, folder: Path) -> Path:
    """Write the page, its numbers as JSON and the frames as CSV into the folder; returns the page's path."""
    write_numbers(folder, as_json(report))
    write_csv(folder / FRAMES, CSV_HEAD, map(csv_row, report.run.records))
    times = charts.seconds(report.run.records)
    return write_page(
        folder,
        "run.html",
        title=report.title,
        headline=report.headline,
        subject=report.subject,
        report=report,
        summary=report.summary,
        triggers=tables.triggers(report.summary),
        times=times,
        load=load_json(report.load),
        spans=_worst_spans(report.spans),
        classes_seen=_classes_seen(report),
        class_table=tables.classes(report),
        files={**report.files, NUMBERS: "all numbers of this page", FRAMES: "one row per frame"},
        charts=charts,
        tables=tables,
        names=outputs,
        data=_script_data(report, times),
    )


def _worst_spans(spans: Sequence[SpanNumbers]) -> list[SpanNumbers]:
    """The spans, of very many the worst, in the order of the recording."""
    worst = sorted(spans, key=_quality)[:_MAX_SPANS]
    return sorted(worst, key=lambda span: span.first)


def _quality(span: SpanNumbers) -> float:
    """By the best measure that is known."""
    measures = (span.mean_iou, span.flow_consistency, span.agreement)
    return next((value for value in measures if not math.isnan(value)), -span.latency_p95)


def _classes_seen(report: Report) -> list[int]:
    shares = [record.shares for record in report.run.records if record.shares]
    if not shares:
        return list(range(len(report.run.card.classes)))
    return [int(i) for i in np.flatnonzero(np.max(shares, axis=0) > _MIN_SHARE)]


def _script_data(report: Report, times: Sequence[float]) -> dict[str, Any]:
    """What the page's script needs: the viewer's pictures, and a line of words for each frame (or every n-th)."""
    pictures = [
        {"index": picture.index, "frame": data_uri(picture.frame), "overlay": data_uri(picture.overlay)}
        for picture in report.run.pictures.even
    ]
    step = max(1, math.ceil(len(report.run.records) / _MAX_TIPS))
    shown = list(enumerate(report.run.records))[::step]
    frames = {
        "every": step,
        "t": [round(times[index], 4) for index, _ in shown],
        "text": [_tip(index, times[index], record) for index, record in shown],
    }
    return {"pictures": pictures, "frames": frames, "video": _video(report)}


def _video(report: Report) -> dict[str, Any] | None:
    """What is known of the video with every frame: its file, frames per second, and the frames that are not in it."""
    video = report.video
    if video is None or not video.steps:
        return None
    left_out = sorted(set(range(video.shown[-1])) - set(video.shown))
    return {"src": video.steps, "rate": video.rate, "frames": video.shown[-1] + 1, "lost": left_out}


def _tip(index: int, time: float, record: FrameRecord) -> str:
    lines = [f"frame {index}, {time:.2f} s"]
    if record.key_frame:
        lines.append(f"key frame: {record.trigger or 'requested'}")
    if record.lost:
        lines.append("no mask arrived")
    measures = [("latency", record.latency_ms, ".1f", " ms"), ("age", record.age_ms, ".0f", " ms")]
    measures.append(("motion", record.motion, ".3g", ""))
    shares = {"reuse agreement": "agreement", "flow consistency": "flow_consistency"}
    shares |= {name: name for name in ("accuracy", "confidence")}
    measures += [(words, getattr(record, name), ".1%", "") for words, name in shares.items()]
    lines += [f"{name} {value:{form}}{unit}" for name, value, form, unit in measures if not math.isnan(value)]
    return "\n".join(lines)
