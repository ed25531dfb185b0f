"""The page of a sweep: quality over cost, the recommendation, and every run in a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import yaml
from markupsafe import Markup

from dcfm_ros.files import write_text
from dcfm_ros.measure.table import Table, number, percent
from dcfm_ros.replay.outputs import PARAMETERS, TABLE
from dcfm_ros.replay.report import tables
from dcfm_ros.replay.report.files import write_csv, write_numbers, write_page
from dcfm_ros.replay.report.report import busy
from dcfm_ros.replay.report.svg import Plot
from dcfm_ros.replay.sweep import Point, Sweep

_CSV = ("quality", "cost_ms", "latency_p95", "lost", "key_frames", "flow_consistency", "problem", "page")
INTERRUPTED = "interrupted by Ctrl-C before every run of the grid was made"


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
        "settings": sweep.settings,
        "machine": sweep.machine,
        "pareto": [point.name for point in sweep.pareto()],
        "runs": [asdict(point) for point in sweep.points],
    }
    write_numbers(folder, values)
    rows = ([*p.settings.values(), *(getattr(p, column) for column in _CSV)] for p in sweep.points)
    write_csv(folder / TABLE, (*_axes(sweep), *_CSV), rows)
    if sweep.best:
        values = {
            name: text if name == "weights" else yaml.safe_load(text)
            for name, text in sweep.parameters.items()
        }
        write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}, sort_keys=False), folder / PARAMETERS)
    wanted = f"for {sweep.rate:.3g} frames per second, " if sweep.rate else ""
    within = f"95 % of the frames within {sweep.budget_ms:.3g} ms"
    budget = within if math.isfinite(sweep.budget_ms) else "any latency"
    return write_page(
        folder,
        "sweep.html",
        title="sweep",
        headline=f"Take {sweep.best.name}." if sweep.best else "No run keeps up.",
        subject=subject,
        notes=[
            *([INTERRUPTED] if sweep.interrupted else []),
            f"Asked {wanted}{budget}: {sweep.why}.",
            *busy(sweep.others_cores),
        ],
        sweep=sweep,
        table=sweep_table(sweep, sweep.points),
        plot=pareto_plot(sweep),
        settings=sweep.settings,
        machine=sweep.machine,
        parameters=PARAMETERS if sweep.best else "",
    )


def _axes(sweep: Sweep) -> list[str]:
    return list(sweep.points[0].settings) if sweep.points else []


def sweep_table(sweep: Sweep, points: Sequence[Point], *, brief: bool = False) -> Table:
    """A row for every point; the last cell marks the ones to take, or says why there are no numbers, in `brief` that."""
    front = sweep.pareto()

    def remark(point: Point) -> str:
        if point.problem:
            return "failed" if brief else point.problem
        return "recommended" if point == sweep.best else "on the front" if point in front else ""

    return Table.of(
        points,
        [
            *((axis, lambda p, axis=axis: p.settings[axis]) for axis in _axes(sweep)),
            ("quality", lambda p: percent(p.quality, 2)),
            ("ms per frame", number, "cost_ms"),
            ("p95 ms", number, "latency_p95"),
            *((name.replace("_", " "), percent, name) for name in ("lost", "key_frames", "flow_consistency")),
            ("", remark),
        ],
    ).without_empty_columns()


def pareto_plot(sweep: Sweep) -> Markup | None:
    """Every run as a dot, the Pareto front as a line, the recommended one marked; None without numbers."""
    known = [p for p in sweep.points if not math.isnan(p.quality) and not math.isnan(p.cost_ms)]
    if not known:
        return None
    costs, qualities = [point.cost_ms for point in known], [point.quality for point in known]
    spread = max(max(qualities) - min(qualities), 0.01)
    limit = 1e3 / sweep.rate if sweep.rate else None
    right = max([*costs, limit or 0.0]) if limit and limit < 3 * max(costs) else max(costs)
    low, high = max(0.0, min(qualities) - 0.15 * spread), min(1.0, max(qualities) + 0.2 * spread)
    plot = Plot((0, right * 1.15), (low, high), 420)
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


def sweep_text(sweep: Sweep) -> str:
    """The runs of a sweep, cheapest first, and the recommendation."""
    cheapest = sorted(sweep.points, key=lambda point: (math.isnan(point.cost_ms), point.cost_ms))
    head = f"take {sweep.best.name}" if sweep.best else "no run keeps up"
    verdict = f"quality: {sweep.quality}\n{head}: {sweep.why}"
    blocks = [sweep_table(sweep, cheapest, brief=True).text(), verdict]
    notes = [f"{point.name} failed: {point.problem}" for point in cheapest if point.problem]
    return tables.titled(
        "sweep", blocks, [*notes, *busy(sweep.others_cores), *([INTERRUPTED] if sweep.interrupted else [])]
    )
