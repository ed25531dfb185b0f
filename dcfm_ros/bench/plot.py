"""The cost of a frame over the key interval, as a picture."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcfm_ros.bench.result import PUBLISHED, SEGFORMER, TUNED, Case, Row
from dcfm_ros.bench.table import contestant, measured, size
from dcfm_ros.errors import DcfmError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that people who see red and green alike tell apart (Okabe and Ito), and marks that need no colour at all.
COLOURS = ("#0072B2", "#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#999933", "#882255")
MARKS = ("o", "s", "D", "^", "v", "P", "X")
GREY, RED = "#666666", "#D55E00"


def require_matplotlib() -> None:
    """Raises DcfmError where plots cannot be made."""
    if importlib.util.find_spec("matplotlib") is None:
        raise DcfmError("a plot needs matplotlib, which is not installed; `pip install matplotlib`")


def save_plot(case: Case, path: str | Path) -> None:
    """Mean ms per frame over K for every contestant, SegFormer as level lines; PNG or SVG by the path's suffix."""
    require_matplotlib()
    from matplotlib import rc_context

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Text stays text, and the same numbers give the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dcfm_ros"}):
        figure = draw(case)
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw(case: Case) -> Figure:
    """The picture as a figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    curves = [row for row in measured(case) if row.amortised]
    ours = 0
    for row in curves:
        style: dict[str, Any] = {"color": GREY, "marker": "x", "linestyle": "--"}
        if row.kind != PUBLISHED:
            style = {"color": COLOURS[ours % len(COLOURS)], "marker": MARKS[ours % len(MARKS)]}
            ours += 1
        _curve(axes, row, style)
    for row in measured(case):
        if row.kind in (SEGFORMER, TUNED) and row.key:
            line = "-" if row.kind == SEGFORMER else ":"
            axes.axhline(row.key.median, color=RED, linestyle=line, linewidth=1.3, label=contestant(row))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([item.interval for item in curves[0].amortised] if curves else [], minor=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for formatted in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        formatted(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")
    axes.xaxis.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_xlabel("key interval K (frames)")
    axes.set_ylabel("mean milliseconds per frame")
    axes.set_title(f"{case.backbone}, {case.classes} classes, {size(case.size)}", fontsize=10, loc="left")
    figure.legend(loc="outside right upper", frameon=False, fontsize=7)
    return figure


def _curve(axes: Any, row: Row, style: dict[str, Any]) -> None:
    x = [item.interval for item in row.amortised]
    axes.fill_between(
        x,
        [i.ms.q1 for i in row.amortised],
        [i.ms.q3 for i in row.amortised],
        color=style["color"],
        alpha=0.15,
        linewidth=0,
    )
    axes.plot(x, [item.ms.median for item in row.amortised], label=contestant(row), markersize=5, **style)
