"""The page of a sweep: quality over cost, the recommendation, and every run in a table."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from html import escape
from pathlib import Path

from dcfm_ros.replay.outputs import TABLE
from dcfm_ros.replay.report.page import NUMBERS, PAGE, document, finite
from dcfm_ros.replay.report.svg import Plot
from dcfm_ros.replay.sweep import Point, Sweep


def write_sweep(sweep: Sweep, subject: str, folder: Path) -> Path:
    """Write the page, its numbers as JSON and CSV into the folder; returns the page's path."""
    values = {
        "title": "sweep",
        "subject": subject,
        "quality": sweep.quality,
        "rate_hz": sweep.rate,
        "budget_ms": sweep.budget_ms,
        "recommended": sweep.best.name if sweep.best else None,
        "why": sweep.why,
        "interrupted": sweep.interrupted,
        "pareto": [point.name for point in sweep.pareto()],
        "runs": [asdict(point) for point in sweep.points],
    }
    (folder / NUMBERS).write_text(json.dumps(finite(values), indent=2) + "\n", encoding="utf-8")
    _write_csv(sweep, folder / TABLE)
    page = folder / PAGE
    page.write_text(document("sweep", _body(sweep, subject)), encoding="utf-8")
    return page


def _write_csv(sweep: Sweep, path: Path) -> None:
    axes = list(sweep.points[0].settings) if sweep.points else []
    columns = ("quality", "cost_ms", "latency_p95", "lost", "key_frames", "consistency", "problem", "page")
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow((*axes, *columns))
        for point in sweep.points:
            cells = [getattr(point, column) for column in columns]
            table.writerow((*point.settings.values(), *("" if cell != cell else cell for cell in cells)))


def _body(sweep: Sweep, subject: str) -> str:
    head = f"Take {sweep.best.name}." if sweep.best else "No run keeps up."
    wanted = f"for {sweep.rate:.3g} frames per second, " if sweep.rate else ""
    budget = (
        f"95 % of the frames within {sweep.budget_ms:.3g} ms"
        if math.isfinite(sweep.budget_ms)
        else "any latency"
    )
    notes = []
    if sweep.interrupted:
        notes.append("interrupted by Ctrl-C: not every run of the grid was made")
    return (
        f'<header><div class="eyebrow">dcfm_ros · sweep</div><h1>{escape(head)}</h1>'
        f"<p>{escape(subject)}</p></header>"
        + "".join(f'<div class="note">{escape(note)}</div>' for note in notes)
        + f'<div class="note">Asked {wanted}{budget}: {escape(sweep.why)}.</div>'
        f'<section><h2>Quality over cost</h2><p class="about">Quality: {escape(sweep.quality)}. Cost: computing time per '
        "frame, common branch included wherever it ran. The line joins the runs that no other one beats in both.</p>"
        f'<div class="card">{pareto_plot(sweep)}</div></section>'
        f'<section><h2>Every run</h2><div class="card scroll">{_table(sweep)}</div></section>'
    )


def pareto_plot(sweep: Sweep) -> str:
    """Every run as a dot, the Pareto front as a line, the recommended one marked."""
    known = [
        point for point in sweep.points if not math.isnan(point.quality) and not math.isnan(point.cost_ms)
    ]
    if not known:
        return "<p>No run has numbers to show.</p>"
    costs, qualities = [point.cost_ms for point in known], [point.quality for point in known]
    spread = max(max(qualities) - min(qualities), 0.01)
    limit = 1e3 / sweep.rate if sweep.rate else None
    right = max([*costs, limit or 0.0]) if limit and limit < 3 * max(costs) else max(costs)
    low, high = max(0.0, min(qualities) - 0.15 * spread), min(1.0, max(qualities) + 0.2 * spread)
    plot = Plot((0, right * 1.15), (low, high), size=(1100, 420), margins=(60, 14, 22, 26))
    plot.axes("ms per frame", y_count=5, y_format=lambda value: f"{value:.1%}")
    if limit and limit <= right:
        plot.mark(limit, f"time between two frames, {limit:.0f} ms")
    front = sweep.pareto()
    plot.line([p.cost_ms for p in front], [p.quality for p in front], "var(--soft)", 2.0)
    plot.dots([(p.cost_ms, p.quality, _tip(p)) for p in known if p not in front], "var(--step-rest)", 5)
    plot.dots([(p.cost_ms, p.quality, _tip(p)) for p in front], "var(--frame)", 5.5)
    if sweep.best is not None:
        plot.dots([(sweep.best.cost_ms, sweep.best.quality, _tip(sweep.best))], "var(--key)", 8)
    plot.names((p.cost_ms, p.quality, p.name) for p in front)
    return plot.svg("Quality over cost")


def _tip(point: Point) -> str:
    return (
        f"{point.name}: {point.quality:.2%}, {point.cost_ms:.1f} ms per frame, p95 {point.latency_p95:.1f} ms"
    )


def _table(sweep: Sweep) -> str:
    axes = list(sweep.points[0].settings) if sweep.points else []
    heads = ("quality", "ms per frame", "p95 ms", "lost", "key frames", "flow consistency")
    head = "".join(f"<th>{escape(axis)}</th>" for axis in axes)
    head += "".join(f'<th class="n">{name}</th>' for name in heads) + "<th></th>"
    front = sweep.pareto()
    rows = "".join(_row(point, point == sweep.best, point in front) for point in sweep.points)
    return f"<table><tr>{head}</tr>{rows}</table>"


def _row(point: Point, best: bool, on_front: bool) -> str:
    cells = "".join(f"<td>{escape(text)}</td>" for text in point.settings.values())
    if point.problem:
        return f'<tr>{cells}<td class="wide" colspan="7">{escape(point.problem)}</td></tr>'
    numbers = (
        _share(point.quality, 2),
        f"{point.cost_ms:.1f}",
        f"{point.latency_p95:.1f}",
        _share(point.lost, 1),
        _share(point.key_frames, 1),
        _share(point.consistency, 1),
    )
    cells += "".join(f'<td class="n">{number}</td>' for number in numbers)
    mark = "<b>recommended</b> " if best else "not beaten " if on_front else ""
    return f'<tr>{cells}<td>{mark}<a href="{escape(point.page)}">report</a></td></tr>'


def _share(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}%}"
