"""A run's summary for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dcfm_ros.measure.table import counted, number, percent
from dcfm_ros.replay.many import Outcome
from dcfm_ros.replay.report import tables
from dcfm_ros.replay.report.recordings_page import recordings_table
from dcfm_ros.replay.report.report import Report
from dcfm_ros.replay.report.sweep_page import INTERRUPTED, sweep_table
from dcfm_ros.replay.summary import total
from dcfm_ros.replay.sweep import Sweep

_MIN_WIDTH = 72


def summary_text(report: Report) -> str:
    """The summary as lines of text, without a trailing newline."""
    summary = report.summary
    frames = {
        "frames in": f"{summary.frames_in}{_rate(1e3 / report.interval_ms if report.interval_ms else None)}",
        "masks out": f"{summary.masks_out}{_rate(summary.frame_rate)}",
        "lost": _lost(report),
        "key frames": _key_frames(report),
    }
    if summary.common_ms is not None and summary.common_ms.maximum > 0:
        frames["common branch"] = f"{number(summary.common_ms.mean)} ms on average, once per key frame"
    blocks = [_lines(frames), tables.latency(summary).text(), _lines(_quality(report))]
    return _titled(report.title, blocks, report.notes)


def _titled(title: str, blocks: Sequence[str], notes: Sequence[str]) -> str:
    """A line with the title, the blocks that are not empty, indented, and the notes."""
    body = "\n\n".join(block for block in blocks if block).splitlines()
    lines = [f"  {line}".rstrip() for line in [*body, *(f"note: {note}" for note in notes)]]
    return "\n".join([f"── {title} ".ljust(_MIN_WIDTH, "─"), *lines])


def _lines(values: dict[str, str]) -> str:
    return "\n".join(f"{name:<16} {value}" for name, value in values.items())


def _rate(hz: float | None) -> str:
    return f" at {hz:.2f} Hz" if hz else ""


def _lost(report: Report) -> str:
    odd = ("duplicates", "out_of_order")
    found = [f"{report.extra[name]} {name.replace('_', ' ')}" for name in odd if name in report.extra]
    return ", ".join([str(report.summary.lost), *found])


def _key_frames(report: Report) -> str:
    why = ", ".join(f"{count} {trigger}" for trigger, count in report.summary.key_frames.items())
    return f"{report.summary.key_frame_count} ({why})" if why else "0"


def _quality(report: Report) -> dict[str, str]:
    summary, lines = report.summary, {}
    if report.mean_iou is not None and report.run.confusion is not None:
        lines["mIoU"] = f"{percent(report.mean_iou, 2)} on {report.run.labelled} labelled frames"
        lines["pixel accuracy"] = percent(report.run.confusion.pixel_accuracy, 2)
        windows = report.run.video_consistency().items()
        known = [f"VC{window} {percent(value, 2)}" for window, value in windows if not math.isnan(value)]
        if known:
            lines["consistency"] = ", ".join(known)
    if report.run.latest_mask is not None:
        iou = percent(report.run.latest_mask.mean_iou, 2)
        lines["mIoU, latest"] = f"{iou} for the newest mask finished when each frame arrives"
    if summary.agreement is not None:
        mean, lowest = percent(summary.agreement.mean, 2), percent(summary.agreement.minimum, 2)
        lines["reuse agreement"] = f"{mean} of the pixels, {lowest} at the lowest"
    if summary.consistency is not None:
        mean = percent(summary.consistency.mean, 2)
        lines["flow consistency"] = f"{mean} of the pixels keep their label along the flow"
    return lines


def sweep_text(sweep: Sweep) -> str:
    """The runs of a sweep, cheapest first, and the recommendation."""
    cheapest = sorted(sweep.points, key=lambda point: (math.isnan(point.cost_ms), point.cost_ms))
    head = f"take {sweep.best.name}" if sweep.best else "no run keeps up"
    verdict = f"quality: {sweep.quality}\n{head}: {sweep.why}"
    blocks = [sweep_table(sweep, cheapest, brief=True).text(), verdict]
    notes = [f"{point.name} failed: {point.problem}" for point in cheapest if point.problem]
    return _titled("sweep", blocks, [*notes, *([INTERRUPTED] if sweep.interrupted else [])])


def recordings_text(outcomes: Sequence[Outcome]) -> str:
    """One line per recording, and the accuracy over all of them."""
    all_labelled = total(outcome.confusion for outcome in outcomes)
    accuracy = (
        f"mIoU of all labelled pixels together: {percent(all_labelled.mean_iou, 2)}" if all_labelled else ""
    )
    notes = [f"{outcome.name} failed: {outcome.problem}" for outcome in outcomes if outcome.problem]
    table = recordings_table(outcomes, ("frames", "masks", "lost", "p95 ms", "mIoU"), brief=True).text()
    return _titled(counted(len(outcomes), "recording"), [table, accuracy], notes)
