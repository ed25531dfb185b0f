"""The report page: everything a run has to say on one HTML page without a single outside link."""

from __future__ import annotations

import base64
import importlib.resources
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.measure.machine_load import LoadSample, load_json
from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix
from dcfm_ros.replay.frame_record import FrameRecord, write_csv
from dcfm_ros.replay.pictures import Picture, PictureBook
from dcfm_ros.replay.report import charts
from dcfm_ros.replay.spans import SegmentNumbers
from dcfm_ros.replay.summary import Summary

PAGE, NUMBERS, FRAMES = "index.html", "results.json", "frames.csv"
_MAX_TIPS = 3000
_MAX_SEGMENTS = 40


@dataclass(frozen=True)
class Report:
    """Everything a report shows.

    Attributes:
        title: what was run, in two words.
        subject: what went in, in a sentence.
        latency_meaning: from what to what the latency counts.
        rest_meaning: what the part of the latency is that no step accounts for.
        classes, colors: names and RGB colours of the classes, by id.
        summary, records: the numbers and the frames they come from.
        pictures: moments to show.
        confusion: of all labelled frames; None without labels.
        in_hand: of all labels against the mask that was newest when their frame came; None outside of real time.
        consistency_windows: video consistency against the labels by window length, 0-1.
        labelled: number of frames that had a label.
        interval_ms: time between two frames as recorded, None where unknown.
        load: what the node's process used of the machine; empty where there was no such process.
        segments: the numbers of every stretch of the run.
        notes: what the reader must know: frames skipped, reading that stopped early, an interrupted run.
        settings, machine: tables of words.
        files: what lies beside the page: name -> what it is.
        extra: further values for the JSON.
    """

    title: str
    subject: str
    latency_meaning: str
    rest_meaning: str
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    summary: Summary
    records: Sequence[FrameRecord]
    pictures: PictureBook
    confusion: ConfusionMatrix | None = None
    in_hand: ConfusionMatrix | None = None
    consistency_windows: dict[int, float] = field(default_factory=dict)
    labelled: int = 0
    interval_ms: float | None = None
    load: Sequence[LoadSample] = ()
    segments: Sequence[SegmentNumbers] = ()
    notes: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def mean_iou(self) -> float | None:
        """0-1; None without labels."""
        return None if self.confusion is None or not self.confusion.pixels else self.confusion.mean_iou


def write_report(report: Report, folder: Path) -> Path:
    """Write the page, its numbers as JSON and the frames as CSV into the folder; returns the page's path."""
    (folder / NUMBERS).write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")
    write_csv(report.records, folder / FRAMES)
    page = folder / PAGE
    page.write_text(render(report), encoding="utf-8")
    return page


def as_json(report: Report) -> dict[str, Any]:
    """The report's numbers. `metrics` has the names of ros2_benchmark; NaN and infinities are null."""
    values: dict[str, Any] = {
        "title": report.title,
        "subject": report.subject,
        "latency": report.latency_meaning,
        "metrics": report.summary.benchmark,
        "summary": report.summary.as_json(),
        "settings": report.settings,
        "machine": report.machine,
        "notes": list(report.notes),
        "segments": [segment.as_json(report.classes) for segment in report.segments],
        **report.extra,
    }
    if report.load:
        values["metrics"] = values["metrics"] | load_json(report.load)
    if report.confusion is not None:
        values["accuracy"] = {
            "labelled_frames": report.labelled,
            "mean_iou": report.confusion.mean_iou,
            "weighted_iou": report.confusion.weighted_iou,
            "mean_accuracy": report.confusion.mean_accuracy,
            "pixel_accuracy": report.confusion.pixel_accuracy,
            "per_class_iou": dict(zip(report.classes, report.confusion.per_class_iou.tolist(), strict=False)),
            "video_consistency": {str(window): value for window, value in report.consistency_windows.items()},
        }
    if report.in_hand is not None:
        matrix = report.in_hand
        values["accuracy_in_hand"] = {"mean_iou": matrix.mean_iou, "pixel_accuracy": matrix.pixel_accuracy}
    return finite(values)


def finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def render(report: Report) -> str:
    """The page as text."""
    body = "".join(
        (
            _header(report),
            _viewer(report),
            _tiles(report),
            *(f'<div class="note">{escape(note)}</div>' for note in report.notes),
            _latency(report),
            _over_time(report),
            _load(report),
            _segments(report),
            _classes(report),
            _moments(report),
            _machine(report),
        )
    )
    return document(report.title, body, _page_data(report))


def document(title: str, body: str, data: str = "") -> str:
    """An HTML page that needs nothing else. data: JSON for the page's script, which is left out without any."""
    script = (
        f'<div id="tip"></div><script type="application/json" id="data">{data}</script>'
        f"<script>{_asset('page.js')}</script>"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)} · dcfm_ros</title><style>{_asset('page.css')}</style></head>"
        f"<body><main>{body}</main>{script if data else ''}</body></html>\n"
    )


def _asset(name: str) -> str:
    return importlib.resources.files("dcfm_ros.replay.report").joinpath(name).read_text(encoding="utf-8")


def _header(report: Report) -> str:
    return (
        f'<header><div class="eyebrow">dcfm_ros · {escape(report.title)}</div>'
        f"<h1>{escape(headline(report.summary))}</h1><p>{escape(report.subject)}</p></header>"
    )


def headline(summary: Summary) -> str:
    """The run in one sentence."""
    lost = "none lost" if not summary.lost else f"{summary.lost} lost"
    text = f"{summary.frames_in} frames in, {summary.masks_out} masks out, {lost}"
    if summary.latency is not None:
        text += f"; 95 % within {summary.latency.percentiles[95]:.0f} ms"
    return text + "."


def _viewer(report: Report) -> str:
    if not report.pictures.even:
        return ""
    shown = _classes_seen(report)
    legend = "".join(
        f'<span><i style="background:rgb{tuple(report.colors[i])}"></i>{escape(report.classes[i])}</span>'
        for i in shown
    )
    last = len(report.pictures.even) - 1
    return (
        '<div class="card viewer"><div class="stage"><img class="below" alt="frame">'
        '<div class="top"><img alt="overlay"></div><div class="handle"></div>'
        '<span class="tag l">camera</span><span class="tag r">segmentation</span></div>'
        '<div class="controls"><button aria-label="Play">▶</button>'
        f'<input type="range" min="0" max="{last}" value="0" aria-label="moment"><output></output></div>'
        f'<div class="legend">{legend}</div></div>'
    )


def _classes_seen(report: Report) -> list[int]:
    shares = [record.shares for record in report.records if record.shares]
    if not shares:
        return list(range(len(report.classes)))
    return [int(i) for i in np.flatnonzero(np.max(np.asarray(shares), axis=0) > 0.001)]


def _tile(name: str, value: str, more: str = "", css: str = "") -> str:
    return (
        f'<div class="tile {css}"><div class="name">{escape(name)}</div><div class="value">{value}</div>'
        f'<div class="more">{escape(more)}</div></div>'
    )


def _tiles(report: Report) -> str:
    summary = report.summary
    tiles = [
        _tile(
            "Masks",
            f"{summary.masks_out} <small>of {summary.frames_in}</small>",
            "one for every frame, none lost" if not summary.lost else f"{summary.lost} frames without a mask",
            "bad" if summary.lost else "good",
        )
    ]
    if summary.frame_rate is not None:
        came = f"frames come at {1e3 / report.interval_ms:.1f} Hz" if report.interval_ms else ""
        tiles.append(_tile("Rate", f"{summary.frame_rate:.1f} <small>Hz</small>", came))
    if summary.latency is not None:
        p = summary.latency.percentiles
        tiles.append(
            _tile(
                "Latency, median", f"{p[50]:.1f} <small>ms</small>", f"p95 {p[95]:.1f} ms, p99 {p[99]:.1f} ms"
            )
        )
    why = ", ".join(f"{count} × {trigger}" for trigger, count in summary.key_frames.items())
    tiles.append(_tile("Key frames", str(summary.key_frame_count), why))
    if report.mean_iou is not None:
        tiles.append(
            _tile("mIoU", f"{report.mean_iou:.1%}", f"against the labels of {report.labelled} frames")
        )
    if report.in_hand is not None:
        tiles.append(
            _tile(
                "mIoU in hand",
                f"{report.in_hand.mean_iou:.1%}",
                "of the newest mask there is when a frame comes",
            )
        )
    if report.load:
        use = load_json(report.load)
        cpu, memory = use["MEAN_CPU_UTILIZATION"], use["max_memory_mb"]
        tiles.append(
            _tile(
                "Processor",
                f"{cpu:.0f} <small>%</small>",
                f"of one core, peak {use['MAX_CPU_UTILIZATION']:.0f} %",
            )
        )
        tiles.append(_tile("Memory", f"{memory:.0f} <small>MB</small>", "the node's process, at its highest"))
    for name, spread, more in (
        ("Reuse agreement", summary.agreement, "old and new common feature label alike"),
        ("Temporal consistency", summary.consistency, "labels kept along the optical flow"),
    ):
        if spread is not None:
            tiles.append(_tile(name, f"{spread.mean:.1%}", more))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _latency(report: Report) -> str:
    over_time = charts.latency_over_time(report.records, report.interval_ms)
    if not over_time:
        return ""
    steps = charts.step_times(report.records, report.rest_meaning)
    parts = [
        f'<section><h2>Latency</h2><p class="about">{escape(report.latency_meaning)}</p>'
        '<div class="card"><div class="charthead"><h3>Every frame</h3><div class="keys">'
        '<span><i style="background:var(--key)"></i>key frame: the common feature is refreshed</span>'
        '<span><i style="background:var(--frame)"></i>other frame: it is reused</span>'
        + ('<span><i style="background:var(--bad)"></i>lost</span>' if report.summary.lost else "")
        + f"</div></div>{over_time}</div>"
    ]
    drops = charts.drops_over_time(report.records)
    if drops:
        parts.append(
            '<div class="card"><div class="charthead"><h3>Frames without a mask, per second</h3>'
            f"<span>{report.summary.lost} of {report.summary.frames_in}</span></div>{drops}</div>"
        )
    histogram = charts.latency_histogram(report.records, report.summary)
    parts.append('<div class="pair" style="margin-top:14px">')
    parts.append(f'<div class="card"><h3>Distribution</h3>{histogram}{_latency_table(report.summary)}</div>')
    if steps:
        parts.append(
            f'<div class="card"><h3>Where the time goes, mean ms</h3>{charts.steps_bars(steps)}{_steps_table(steps)}'
            f"{_common(report.summary)}</div>"
        )
    return "".join(parts) + "</div></section>"


def _latency_table(summary: Summary) -> str:
    rows = (
        ("all frames", summary.latency),
        ("key frames", summary.latency_key),
        ("other frames", summary.latency_other),
    )
    cells = "".join(
        f'<tr><td>{name}</td><td class="n">{spread.count}</td>'
        + "".join(f'<td class="n">{spread.percentiles[p]:.1f}</td>' for p in (50, 95, 99))
        + f'<td class="n">{spread.maximum:.1f}</td></tr>'
        for name, spread in rows
        if spread is not None
    )
    head = "".join(f'<th class="n">{name}</th>' for name in ("frames", "p50", "p95", "p99", "max"))
    return f"<table><tr><th>ms</th>{head}</tr>{cells}</table>"


def _steps_table(steps: Sequence[charts.StepTime]) -> str:
    both = any(step.key_ms for step in steps)
    head = ('<th class="n">key frames</th>' if both else "") + '<th class="n">other frames</th>'
    rows = "".join(
        f'<tr><td><i style="background:{step.color}"></i>{escape(step.name)}</td>'
        + (f'<td class="n">{step.key_ms:.2f}</td>' if both else "")
        + f'<td class="n">{step.other_ms:.2f}</td></tr>'
        for step in steps
    )
    return f"<table><tr><th>step</th>{head}</tr>{rows}</table>"


def _common(summary: Summary) -> str:
    if summary.common_ms is None or not summary.common_ms.maximum:
        return ""
    return (
        f'<p class="about" style="margin:10px 0 0">The common branch, run once per key frame, takes '
        f"{summary.common_ms.mean:.1f} ms on average ({summary.common_ms.minimum:.1f} to {summary.common_ms.maximum:.1f}).</p>"
    )


def _over_time(report: Report) -> str:
    drawn = charts.tracks(report.records)
    if not drawn:
        return ""
    body = "".join(
        f'<div class="track"><div class="charthead"><h3>{escape(track.title)}</h3><span>{escape(track.meaning)}</span>'
        f"</div>{svg}</div>"
        for track, svg in drawn
    )
    return (
        '<section><h2>Reuse and quality over time</h2><p class="about">Orange ticks are key frames. Point at a chart to '
        f'see everything known about that frame.</p><div class="card">{body}</div></section>'
    )


def _load(report: Report) -> str:
    if len(report.load) < 2:
        return ""
    body = "".join(
        f'<div class="track"><div class="charthead"><h3>{title}</h3></div>{svg}</div>'
        for title, svg in charts.load_over_time(report.load)
    )
    return f'<section><h2>The node\'s process</h2><div class="card">{body}</div></section>'


def _segments(report: Report) -> str:
    """The stretches of the run in a table; of very many the worst."""
    segments = list(report.segments)
    if len(segments) < 2:
        return ""
    about = "Each stretch of the recording by itself."
    if len(segments) > _MAX_SEGMENTS:
        about = f"The {_MAX_SEGMENTS} worst of {len(segments)} stretches; all of them are in {NUMBERS}."
        segments = sorted(sorted(segments, key=_badness)[:_MAX_SEGMENTS], key=lambda segment: segment.first)
    columns: tuple[tuple[str, Callable[[SegmentNumbers], str]], ...] = (
        ("from", lambda s: f"{s.start_s:.1f} s"),
        ("for", lambda s: f"{s.duration_s:.1f} s"),
        ("frames", lambda s: f"{s.frames}"),
        ("lost", lambda s: f"{s.lost}" if report.summary.lost else ""),
        ("key frames", lambda s: f"{s.key_frames}"),
        ("p95 ms", lambda s: _known(s.latency_p95, "{:.1f}")),
        ("mIoU", lambda s: _known(s.mean_iou, "{:.1%}")),
        *(
            (f"VC{window}", lambda s, window=window: _known(s.video_consistency[window], "{:.1%}"))
            for window in CONSISTENCY_WINDOWS
        ),
        ("agreement", lambda s: _known(s.agreement, "{:.1%}")),
        ("flow consistency", lambda s: _known(s.consistency, "{:.1%}")),
        ("confidence", lambda s: _known(s.confidence, "{:.1%}")),
    )
    cells = [(name, [show(segment) for segment in segments]) for name, show in columns]
    cells = [(name, values) for name, values in cells if any(values)]
    head = "".join(f'<th class="n">{name}</th>' for name, _ in cells)
    rows = "".join(
        "<tr>" + "".join(f'<td class="n">{values[row]}</td>' for _, values in cells) + "</tr>"
        for row in range(len(segments))
    )
    return (
        f'<section><h2>By segment</h2><p class="about">{about}</p><div class="card scroll"><table><tr>{head}</tr>{rows}'
        "</table></div></section>"
    )


def _badness(segment: SegmentNumbers) -> float:
    """Lower is worse, by the best measure of quality that is known."""
    measures = (segment.mean_iou, segment.consistency, segment.agreement)
    return next((value for value in measures if not math.isnan(value)), -segment.latency_p95)


def _known(value: float, text: str) -> str:
    return "" if math.isnan(value) else text.format(value)


def _classes(report: Report) -> str:
    shares = charts.class_shares(report.records, report.classes, report.colors)
    table = _class_table(report)
    if not shares and not table:
        return ""
    what = "accuracy and share" if report.confusion is not None else "share of the masks"
    parts = [f'<section><h2>Classes</h2><p class="about">Each class: {what}.</p>']
    if shares:
        parts.append(f'<div class="card"><h3>Share of each class over time</h3>{shares}</div>')
    return "".join([*parts, table, "</section>"])


def _class_table(report: Report) -> str:
    shares = [record.shares for record in report.records if record.shares]
    if not shares:
        return ""
    mean_share = np.mean(np.asarray(shares), axis=0)
    iou = report.confusion.per_class_iou if report.confusion is not None else None
    rows = []
    for index, (name, color) in enumerate(zip(report.classes, report.colors, strict=False)):
        cells = f'<td><i style="background:rgb{tuple(color)}"></i>{escape(name)}</td><td class="n">{mean_share[index]:.1%}</td>'
        if iou is not None:
            value = float(iou[index])
            known = not math.isnan(value)
            shown = f"{value:.1%}" if known else "not in the labels"
            width = 100 * value if known else 0
            cells += f'<td class="bar"><div><div style="width:{width:.1f}%"></div></div></td><td class="n">{shown}</td>'
        rows.append(f"<tr>{cells}</tr>")
    head = '<th>class</th><th class="n">share of the masks</th>' + (
        "<th>IoU</th><th></th>" if iou is not None else ""
    )
    below = ""
    if report.confusion is not None:
        facts = [
            f"mIoU {report.confusion.mean_iou:.2%}",
            f"weighted IoU {report.confusion.weighted_iou:.2%}",
            f"pixel accuracy {report.confusion.pixel_accuracy:.2%}",
            *(
                f"VC{window} {value:.2%}"
                for window, value in report.consistency_windows.items()
                if not math.isnan(value)
            ),
        ]
        below = f'<p class="about" style="margin:12px 0 0">{" · ".join(facts)}</p>'
    return f'<div class="card"><table><tr>{head}</tr>{"".join(rows)}</table>{below}</div>'


def _moments(report: Report) -> str:
    groups = report.pictures.worst()
    times = charts.seconds(report.records)
    if not groups:
        return ""
    parts = [
        '<section><h2>Worst moments</h2><p class="about">The frames a demonstration would leave out.</p><div class="moments">'
    ]
    for measure, pictures in groups:
        parts.append(f"<h3>{escape(measure.title)}</h3>")
        parts.extend(
            _figure(picture, times[picture.index], measure.caption(picture.record)) for picture in pictures
        )
    return "".join(parts) + "</div></section>"


def _figure(picture: Picture, time: float, caption: str) -> str:
    below = [("frame", picture.frame)]
    if picture.truth is not None:
        below.append(("true labels", picture.truth))
    strip = "".join(_img(alt, data) for alt, data in below)
    key = ", key frame" if picture.record.key_frame else ""
    names = " and ".join(alt for alt, _ in below)
    return (
        f'<figure>{_img("overlay", picture.overlay)}<div class="strip">{strip}</div><figcaption><b>{escape(caption)}</b> · '
        f"frame {picture.index}, {time:.2f} s{key}; below: {names}</figcaption></figure>"
    )


def _img(alt: str, jpeg: bytes) -> str:
    return f'<img alt="{alt}" src="{_data_uri(jpeg)}">'


def _machine(report: Report) -> str:
    parts = ['<section><h2>How this was measured</h2><div class="pair">']
    for name, facts in (("Settings", report.settings), ("Machine", report.machine)):
        rows = "".join(
            f'<tr><th>{escape(key)}</th><td class="wide">{escape(value)}</td></tr>'
            for key, value in facts.items()
        )
        parts.append(f'<div class="card"><h3>{name}</h3><table>{rows}</table></div>')
    parts.append("</div>")
    files = {**report.files, NUMBERS: "all numbers of this page", FRAMES: "one row per frame"}
    rows = "".join(
        f'<tr><td><a href="{escape(name)}"><code>{escape(name)}</code></a></td><td>{escape(what)}</td></tr>'
        for name, what in files.items()
    )
    parts.append(
        f'<div class="card" style="margin-top:14px"><h3>Beside this page</h3><table>{rows}</table></div></section>'
    )
    return "".join(parts)


def _page_data(report: Report) -> str:
    """What the page's script needs: the viewer's pictures, and a line of words for each frame (or every n-th)."""
    times = charts.seconds(report.records)
    pictures = [
        {
            "frame": _data_uri(picture.frame),
            "overlay": _data_uri(picture.overlay),
            "caption": _picture_caption(picture.index, times[picture.index], picture.record),
        }
        for picture in report.pictures.even
    ]
    step = max(1, math.ceil(len(report.records) / _MAX_TIPS))
    shown = list(enumerate(report.records))[::step]
    frames = {
        "t": [round(times[index], 4) for index, _ in shown],
        "text": [_tip(index, times[index], record) for index, record in shown],
    }
    # "</" would end the script element early.
    return json.dumps({"pictures": pictures, "frames": frames}, separators=(",", ":")).replace("</", "<\\/")


def _picture_caption(index: int, time: float, record: FrameRecord) -> str:
    parts = [f"frame {index}", f"{time:.2f} s"]
    if not record.lost:
        parts.append(f"{record.latency_ms:.0f} ms")
    if record.key_frame:
        parts.append(f"key frame: {record.trigger or 'asked'}")
    elif not math.isnan(record.age_ms):
        parts.append(f"common feature {record.age_ms:.0f} ms old")
    return " · ".join(parts)


def _tip(index: int, time: float, record: FrameRecord) -> str:
    lines = [f"frame {index}   {time:.2f} s"]
    if record.key_frame:
        lines.append(f"key frame: {record.trigger or 'asked'}")
    if record.lost:
        lines.append("no mask came")
    values = (
        ("latency", record.latency_ms, "{:.1f} ms"),
        ("age", record.age_ms, "{:.0f} ms"),
        ("motion", record.motion, "{:.3g}"),
        ("agreement", record.agreement, "{:.1%}"),
        ("accuracy", record.accuracy, "{:.1%}"),
        ("consistency", record.consistency, "{:.1%}"),
        ("confidence", record.confidence, "{:.1%}"),
    )
    lines.extend(f"{name} {text.format(value)}" for name, value, text in values if not math.isnan(value))
    return "\n".join(lines)


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
