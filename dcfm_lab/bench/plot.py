"""The cost of a frame over the key interval, as a picture."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

from dcfm_lab.bench.result import DCFM, Case, Row
from dcfm_lab.bench.table import measured, size
from dcfm_lab.measure.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, draw_band, new_plot, save_plot

COLOURS = (BLUE, GREEN, SKY, PURPLE, ORANGE, "#999933", "#882255")
MARKS = ("o", "s", "D", "^", "v", "P", "X")
LINES = ("-", ":", "--", "-.")
"""No contestant is told by its colour alone."""


def draw(case: Case, path: str | Path) -> None:
    """Mean ms per frame over K for every contestant, level lines where K is nothing; PNG or SVG by the path's suffix.

    Raises DcfmError without matplotlib.
    """
    figure, axes = new_plot(f"{case.backbone}, {case.classes} classes, {size(case.size)}", (7.2, 4.6))
    curves = [row for row in measured(case) if row.amortised]
    ours = 0
    for row in curves:
        style: dict[str, Any] = {"color": GREY, "marker": "x", "linestyle": "--"}
        if row.kind == DCFM:
            style = {"color": COLOURS[ours % len(COLOURS)], "marker": MARKS[ours % len(MARKS)]}
            ours += 1
        _curve(axes, row, style)
    for row, line in zip((row for row in measured(case) if not row.other), cycle(LINES), strict=False):
        assert row.key
        axes.axhline(row.key.median, color=RED, linestyle=line, linewidth=1.3, label=row.title)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([item.interval for item in curves[0].amortised] if curves else [], minor=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for formatted in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        formatted(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")
    axes.xaxis.minorticks_off()
    axes.set_xlabel("key interval K (frames)")
    axes.set_ylabel("mean milliseconds per frame")
    figure.legend(loc="outside right upper", frameon=False, fontsize=7)
    save_plot(figure, Path(path))


def _curve(axes: Any, row: Row, style: dict[str, Any]) -> None:
    x = [item.interval for item in row.amortised]
    spreads = [item.ms for item in row.amortised]
    draw_band(axes, x, [ms.q1 for ms in spreads], [ms.q3 for ms in spreads], style["color"])
    axes.plot(x, [ms.median for ms in spreads], label=row.title, markersize=5, **style)
