"""A run's summary for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dcfm_ros.measure.spread import Distribution
from dcfm_ros.replay.many import Outcome, total_confusion
from dcfm_ros.replay.report.page import Report
from dcfm_ros.replay.sweep import Sweep

_RULE = "─"


def summary_text(report: Report) -> str:
    """The summary as lines of text, without a trailing newline."""
    summary = report.summary
    lines = [
        ("frames in", f"{summary.frames_in}{_at(1e3 / report.interval_ms if report.interval_ms else None)}"),
        ("masks out", f"{summary.masks_out}{_at(summary.frame_rate)}"),
        ("lost", _lost(report)),
        ("key frames", _key_frames(report)),
        ("", ""),
        ("latency, ms", "    p50     p95     p99     max"),
        ("  all frames", _row(summary.latency)),
        ("  key frames", _row(summary.latency_key)),
        ("  other frames", _row(summary.latency_other)),
    ]
    if summary.common_ms is not None and summary.common_ms.maximum > 0:
        lines.append(("common branch", f"{summary.common_ms.mean:.1f} ms on average, once per key frame"))
    quality = _quality(report)
    if quality:
        lines += [("", ""), *quality]
    body = [f"  {name:<16} {value}".rstrip() for name, value in lines if name or not value]
    width = max(len(line) for line in body) + 2
    title = f"{_RULE * 2} {report.title} "
    notes = [f"  note: {note}" for note in report.notes]
    return "\n".join([title + _RULE * max(2, width - len(title)), *body, *notes])


def _at(rate: float | None) -> str:
    return f" at {rate:.2f} Hz" if rate else ""


def _lost(report: Report) -> str:
    odd = [
        f"{report.extra[name]} {name.replace('_', ' ')}"
        for name in ("duplicates", "out_of_order")
        if name in report.extra
    ]
    return ", ".join([str(report.summary.lost), *odd])


def _key_frames(report: Report) -> str:
    why = ", ".join(f"{count} {trigger}" for trigger, count in report.summary.key_frames.items())
    return f"{report.summary.key_frame_count} ({why})" if why else "0"


def _row(spread: Distribution | None) -> str:
    if spread is None:
        return "      –       –       –       –"
    values = [*spread.percentiles.values(), spread.maximum]
    return "".join(f"{value:7.1f} " for value in values).rstrip()


def _quality(report: Report) -> list[tuple[str, str]]:
    summary, lines = report.summary, []
    if report.mean_iou is not None and report.confusion is not None:
        lines.append(("mIoU", f"{report.mean_iou:.2%} on {report.labelled} labelled frames"))
        lines.append(("pixel accuracy", f"{report.confusion.pixel_accuracy:.2%}"))
        windows = [
            f"VC{w} {value:.2%}" for w, value in report.consistency_windows.items() if not math.isnan(value)
        ]
        if windows:
            lines.append(("consistency", ", ".join(windows)))
    if report.in_hand is not None:
        lines.append(
            ("mIoU in hand", f"{report.in_hand.mean_iou:.2%} for the newest mask there is when a frame comes")
        )
    if summary.agreement is not None:
        lines.append(
            (
                "reuse agreement",
                f"{summary.agreement.mean:.2%} of the pixels, least {summary.agreement.minimum:.2%}",
            )
        )
    if summary.consistency is not None:
        lines.append(
            (
                "flow consistency",
                f"{summary.consistency.mean:.2%} of the pixels keep their label along the flow",
            )
        )
    return lines


def sweep_text(sweep: Sweep) -> str:
    """The runs of a sweep, cheapest first, and the recommendation."""
    width = max([len(point.name) for point in sweep.points] + [8])
    lines = [
        f"{_RULE * 2} sweep {_RULE * (width + 44)}",
        f"  {'':<{width}}  quality  ms/frame   p95 ms    lost  keys",
    ]
    for point in sorted(sweep.points, key=lambda p: (math.isnan(p.cost_ms), p.cost_ms)):
        if point.problem:
            lines.append(f"  {point.name:<{width}}  {point.problem}")
            continue
        mark = " *" if point == sweep.best else ""
        lines.append(
            f"  {point.name:<{width}} {point.quality:8.2%} {point.cost_ms:9.1f} {point.latency_p95:8.1f} "
            f"{point.lost:7.1%} {point.key_frames:5.0%}{mark}"
        )
    head = f"take {sweep.best.name}" if sweep.best else "no run keeps up"
    notes = ["  note: interrupted by Ctrl-C: not every run of the grid was made"] if sweep.interrupted else []
    return "\n".join([*lines, "", f"  quality: {sweep.quality}", f"  {head}: {sweep.why}", *notes])


def table_text(outcomes: Sequence[Outcome]) -> str:
    """One line per recording, and the accuracy over all of them."""
    width = max([len(outcome.name) for outcome in outcomes] + [9])
    lines = [
        f"{_RULE * 2} {len(outcomes)} recordings {_RULE * (width + 24)}",
        f"  {'recording':<{width}}  frames   masks  p95 ms     mIoU",
    ]
    for outcome in outcomes:
        if outcome.numbers is None:
            lines.append(f"  {outcome.name:<{width}}  {outcome.problem}")
            continue
        summary = outcome.numbers["summary"]
        latency = summary["latency"]["p95"] if summary["latency"] else math.nan
        iou = outcome.confusion.mean_iou if outcome.confusion is not None else math.nan
        shown = "" if math.isnan(iou) else f"{iou:9.2%}"
        lines.append(
            f"  {outcome.name:<{width}} {summary['frames_in']:7d} {summary['masks_out']:7d} {latency:7.1f}{shown}"
        )
    total = total_confusion(outcomes)
    if total is not None:
        lines += ["", f"  mIoU of all labelled pixels together: {total.mean_iou:.2%}"]
    return "\n".join(lines)
