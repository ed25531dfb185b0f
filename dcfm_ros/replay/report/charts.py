"""The charts of a report, each from the frame records to one inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dcfm_ros.measure.machine import LoadSample
from dcfm_ros.measure.table import counted
from dcfm_ros.replay.report.svg import Plot, number
from dcfm_ros.replay.summary import STEPS, FrameRecord, Summary, key_and_other

FRAME, KEY, LOST, SOFT = "var(--frame)", "var(--key)", "var(--bad)", "var(--soft)"
_STEP_COLORS = {step: f"var(--step{i})" for i, step in enumerate(STEPS)}
_STEP_NAMES = {"label_map": "label map"}
_MAX_MARKS = 2000


def seconds(records: Sequence[FrameRecord]) -> list[float]:
    """The records' times in seconds since the first one, the x axis of all charts over time.

    By the stamps; a recording that jumps in time is shown by when its frames were sent.
    """
    stamps = [record.stamp_ns for record in records]
    if all(before < after for before, after in zip(stamps, stamps[1:], strict=False)):
        return [(stamp - stamps[0]) / 1e9 for stamp in stamps]
    return [record.sent_ms / 1e3 for record in records]


def _span(records: Sequence[FrameRecord]) -> tuple[float, float]:
    times = seconds(records)
    return (times[0], times[-1]) if times[-1] > times[0] else (times[0], times[0] + 1)


def latency_over_time(records: Sequence[FrameRecord], interval_ms: float | None) -> str:
    """Latency of every frame, key frames marked, lost frames as ticks on the axis."""
    latencies = [record.latency_ms for record in records]
    known = sorted(value for value in latencies if not math.isnan(value))
    if not known:
        return ""
    # One slow first frame must not flatten all others: the axis ends a little above the 99th percentile.
    top = max(float(np.percentile(known, 99)) * 1.35, (interval_ms or 0) * 1.15, 1.0)
    top = min(top, max(known[-1] * 1.1, (interval_ms or 0) * 1.15))
    plot = Plot(_span(records), (0, top), 270)
    plot.axes("s")
    if above := sum(value > top for value in known):
        plot.note(f"cut at {top:.0f} ms: {counted(above, 'frame')} above, up to {known[-1]:.0f} ms")
    times = seconds(records)
    plot.line(times, latencies, SOFT, 1.0)
    other, key = [], []
    every = 1 + len(records) // _MAX_MARKS
    for index, (time, record) in enumerate(zip(times, records, strict=False)):
        # Of a long run not every frame is marked, but everything above the axis is.
        if index % every and not record.latency_ms > top:
            continue
        if record.lost:
            plot.tick_up(time, LOST, f"frame {index}: lost", 14)
            continue
        over = " (above the axis)" if record.latency_ms > top else ""
        label = f"frame {index}: {record.latency_ms:.1f} ms{over}"
        if record.key_frame:
            key.append((time, record.latency_ms, f"{label}, key frame ({record.trigger})"))
        else:
            other.append((time, record.latency_ms, label))
    plot.dots(other, FRAME, 2.0)
    plot.dots(key, KEY, 4.0 if len(key) < 200 else 2.5)
    if interval_ms and interval_ms <= top:
        plot.level(interval_ms, f"time between two frames, {interval_ms:.0f} ms")
    return plot.svg("Latency over time", over_time=True)


def drops_over_time(records: Sequence[FrameRecord]) -> str:
    """Frames without a mask, per second or longer; nothing where there are none."""
    lost = [time for time, record in zip(seconds(records), records, strict=True) if record.lost]
    if not lost:
        return ""
    start, end = _span(records)
    bin_s = max(1.0, (end - start) / 120)
    edges = np.arange(start, end + bin_s, bin_s)
    counts = np.histogram(lost, edges)[0] / bin_s
    plot = Plot((start, end), (0, float(counts.max()) * 1.2), 110)
    plot.axes("s", y_count=2)
    for left, value in zip(edges, counts, strict=False):
        if value:
            label = f"{value:.1f} frames per second without a mask"
            plot.bar(left, min(left + bin_s, end), 0, value, LOST, label)
    return plot.svg("Frames without a mask", over_time=True)


def latency_histogram(records: Sequence[FrameRecord], summary: Summary) -> str:
    """How many frames took how long, key frames stacked on the others, percentiles marked."""
    if summary.latency is None:
        return ""
    low, high = summary.latency.minimum, summary.latency.percentiles[99] * 1.15 + 1e-6
    low = max(0.0, low - 0.08 * (high - low))
    edges = np.linspace(low, high, 41)
    counts_key, counts_other = (
        np.histogram(np.clip([record.latency_ms for record in group], low, high), edges)[0]
        for group in key_and_other(records)
    )
    plot = Plot((low, high), (0, float((counts_other + counts_key).max()) * 1.18), 250)
    plot.axes("ms", y_count=3)
    begins = f"axis from {low:.1f} ms" if low else ""
    ends = f"last bar: all above {edges[-2]:.1f} ms" if summary.latency.maximum > high else ""
    plot.note("; ".join(filter(None, (begins, ends))))
    gap = (edges[1] - edges[0]) * 0.08
    for left, right, n_other, n_key in zip(edges, edges[1:], counts_other, counts_key, strict=False):
        where = f"{left:.1f}-{right:.1f} ms" if right < high else f"{left:.1f} ms and above"
        if n_other:
            plot.bar(left + gap, right - gap, 0, n_other, FRAME, f"{n_other} frames, {where}")
        if n_key:
            plot.bar(left + gap, right - gap, n_other, n_other + n_key, KEY, f"{n_key} key frames, {where}")
    for row, (p, value) in enumerate(summary.latency.percentiles.items()):
        plot.mark(value, f"p{p} {value:.1f}", row=row)
    return plot.svg("Histogram of latency")


@dataclass(frozen=True)
class StepTime:
    """Mean milliseconds of a processing step in key frames and in the other frames."""

    name: str
    color: str
    key_ms: float
    other_ms: float


def step_times(records: Sequence[FrameRecord], rest_name: str) -> list[StepTime]:
    """Where the time goes on average; the part of the latency that no step accounts for comes last, as `rest_name`."""
    groups = key_and_other(records)
    found = []
    for step in STEPS:
        means = [_mean([r.steps.get(step, math.nan) for r in group]) for group in groups]
        if any(mean > 0 for mean in means):
            found.append(StepTime(_STEP_NAMES.get(step, step), _STEP_COLORS[step], means[0], means[1]))
    rest = [
        _mean([r.latency_ms - sum(v for v in r.steps.values() if not math.isnan(v)) for r in group])
        for group in groups
    ]
    if max(rest) > 0.05:
        found.append(StepTime(rest_name, "var(--step-rest)", max(0.0, rest[0]), max(0.0, rest[1])))
    return found


def steps_bars(steps: Sequence[StepTime]) -> str:
    """Two stacked bars: where the time of a key frame and of another frame goes."""
    rows = [("key frames", [s.key_ms for s in steps]), ("other frames", [s.other_ms for s in steps])]
    rows = [row for row in rows if sum(row[1]) > 0]
    if not rows:
        return ""
    height = 46 + 62 * len(rows)
    plot = Plot((0, max(sum(values) for _, values in rows) * 1.12), (0, len(rows)), height)
    plot.axes("ms", y_count=0, y_format=lambda _: "")
    for row, (name, values) in enumerate(rows):
        base = len(rows) - 1 - row
        start = 0.0
        for step, value in zip(steps, values, strict=False):
            plot.bar(
                start, start + value, base + 0.22, base + 0.72, step.color, f"{step.name}: {value:.2f} ms"
            )
            start += value
        plot.text(0, plot.py(base + 0.78), name, css="label")
        plot.text(plot.px(start), plot.py(base + 0.40), f"{start:.1f}", css="label", dx=6)
    return plot.svg("Where the time goes")


class Track(NamedTuple):
    """A measure over time."""

    name: str  # in a record
    title: str
    meaning: str
    share: bool = True


TRACKS = (
    Track("age_ms", "Age of the common feature, ms", "it drops when a new common feature arrives", False),
    Track(
        "motion", "Image motion", "change of the picture since the key frame, as the trigger sees it", False
    ),
    Track("agreement", "Reuse agreement", "pixels that the old and the new common feature label alike"),
    Track("accuracy", "Accuracy", "labelled pixels that are right"),
    Track("flow_consistency", "Flow consistency", "pixels that keep their label along the optical flow"),
    Track("confidence", "Confidence", "mean softmax probability of the winning class"),
)


def tracks(records: Sequence[FrameRecord]) -> list[tuple[Track, str]]:
    """One chart per measure that is known in this run."""
    times = seconds(records)
    drawn = []
    for track in TRACKS:
        values = [getattr(record, track.name) for record in records]
        known = [value for value in values if not math.isnan(value)]
        if known and any(value != known[0] for value in known):
            drawn.append((track, _track(track, times, values, known, records)))
    return drawn


def _track(
    track: Track, times: list[float], values: list[float], known: list[float], records: Sequence[FrameRecord]
) -> str:
    low, high = min(known), max(known)
    if track.share:
        # A share has a natural top; the bottom is rounded down to a full tenth so that small changes do not
        # look dramatic.
        low, high = max(0.0, math.floor((low - 0.02) * 10) / 10), 1.0
    else:
        low, high = 0.0, high * 1.12
    plot = Plot(_span(records), (low, high), 130)
    plot.axes("s", y_count=2, y_format=(lambda value: f"{value:.0%}") if track.share else number)
    for time, record in zip(times, records, strict=False):
        if record.key_frame and len(records) <= 2 * _MAX_MARKS:
            plot.tick_up(time, KEY, f"key frame ({record.trigger})", 6)
    if len(known) < 0.6 * len(values):
        points = [(x, y) for x, y in zip(times, values, strict=True) if not math.isnan(y)]
        plot.line([x for x, _ in points], [y for _, y in points], SOFT, 1.0)
        plot.dots([(x, y, f"{y:.1%}" if track.share else f"{y:.3g}") for x, y in points], FRAME, 3.0)
    else:
        plot.line(times, values, FRAME, 1.6)
    return plot.svg(track.title, over_time=True)


def load_over_time(samples: Sequence[LoadSample]) -> Sequence[tuple[str, str]]:
    """Processor and memory of a process over time, each as (title, drawing)."""
    times = [sample.time_s for sample in samples]
    drawn = []
    for title, values in (
        ("Processor, % of one core", [sample.cpu_percent for sample in samples]),
        ("Resident memory, MB", [sample.memory_mb for sample in samples]),
    ):
        plot = Plot((0, times[-1]), (0, max(*values, 1.0) * 1.15), 110)
        plot.axes("s", y_count=2)
        plot.line(times, values, FRAME)
        drawn.append((title, plot.svg(title)))
    return drawn


def class_shares(
    records: Sequence[FrameRecord], names: Sequence[str], colors: Sequence[tuple[int, int, int]]
) -> str:
    """Share of each class in the masks over time, stacked; the first class on top."""
    done = [
        (time, record.shares) for time, record in zip(seconds(records), records, strict=True) if record.shares
    ]
    if len(done) < 2:
        return ""
    step = max(1, len(done) // 400)
    times = [time for time, _ in done[::step]]
    table = np.asarray([shares for _, shares in done[::step]])
    top = np.cumsum(table, axis=1)
    plot = Plot(_span(records), (0, 1), 220)
    for index, (name, color) in enumerate(zip(names, colors, strict=False)):
        if table[:, index].max() == 0:
            continue
        above, below = 1 - (top[:, index] - table[:, index]), 1 - top[:, index]
        plot.area(
            times, list(below), list(above), f"rgb{tuple(color)}", f"{name}: {table[:, index].mean():.1%}"
        )
    plot.axes("s", y_count=2, y_format=lambda value: f"{value:.0%}")
    return plot.svg("Classes over time", over_time=True)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else 0.0
