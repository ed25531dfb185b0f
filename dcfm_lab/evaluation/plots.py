"""Plots of an evaluation: accuracy over the key interval, accuracy over cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcfm_lab.evaluation.config import (
    BIDIRECTIONAL,
    CAUSAL,
    COPIED,
    METHODS,
    PUBLISHED,
    WARPED,
    WARPED_CHEAPLY,
)
from dcfm_lab.evaluation.report import Evaluation, Row
from dcfm_lab.evaluation.table import method_of, per_frame_row
from dcfm_lab.measure import plots
from dcfm_ros.measure.table import size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: dict[str, dict[str, Any]] = {
    CAUSAL: {"color": plots.BLUE, "marker": "o", "linewidth": 2.2},
    PUBLISHED: {"color": plots.BLUE, "marker": "o", "markerfacecolor": "white", "linestyle": "--"},
    BIDIRECTIONAL: {"color": plots.SKY, "marker": "D", "linestyle": "--"},
    WARPED: {"color": plots.ORANGE, "marker": "s"},
    WARPED_CHEAPLY: {"color": plots.PURPLE, "marker": "^"},
    COPIED: {"color": plots.RED, "marker": "v"},
}


FAR_BELOW = 0.18
"""mIoU below that of every frame, 0-1, which is of no use at any price."""


def save_plots(evaluation: Evaluation, folder: str | Path, name: str) -> list[Path]:
    """Writes `NAME_interval` and `NAME_cost` as PNG and SVG into `folder`; returns their paths.

    Raises DcfmError where matplotlib is missing. Without reuse there is nothing to plot, and no file.
    """
    if all(row.key_interval == 1 for row in evaluation.rows):
        return []
    model, data = evaluation.model, evaluation.data
    title = f"{model.name} on {data.name} {data.split}, {size(model.input_size)}"
    paths = plot_files(folder, name)
    for kind, draw in KINDS.items():
        figure, axes = plots.new_plot(title)
        draw(axes, evaluation)
        for path in paths:
            if path.stem == f"{name}_{kind}":
                plots.save_plot(figure, path)
    return paths


def plot_files(folder: str | Path, name: str) -> list[Path]:
    """What `save_plots` writes."""
    return [Path(folder) / f"{name}_{kind}.{suffix}" for kind in KINDS for suffix in ("png", "svg")]


def draw_interval(axes: Axes, evaluation: Evaluation) -> None:
    """mIoU over K, with the range over the offsets of the key frames."""
    for rows in _lines(evaluation):
        style = _style(rows[-1])
        intervals = [row.key_interval for row in rows]
        low, high = [100 * row.mean_iou_min for row in rows], [100 * row.mean_iou_max for row in rows]
        plots.draw_band(axes, intervals, low, high, style["color"])
        axes.plot(intervals, [100 * row.mean_iou for row in rows], label=method_of(rows[-1]), **style)
    per_frame = 100 * per_frame_row(evaluation).mean_iou
    axes.axhline(per_frame, color=plots.GREY, linewidth=1, linestyle=":", label="DCFM on every frame")
    axes.set_xticks(sorted({row.key_interval for row in evaluation.rows if row.key_interval}))
    axes.set_xlabel("key interval K (frames); the band is the range over where key frames fall")
    _cut_far_below(axes, evaluation)
    axes.legend(frameon=False, fontsize=7, loc="lower center", ncols=2)


def draw_cost(axes: Axes, evaluation: Evaluation) -> None:
    """mIoU over milliseconds per frame, without what lies far below; triggers are single points.

    The key interval is written at the ends of each line only: between them it grows from point to point.
    """
    labels: list[plots.Label] = []
    for rows in _lines(evaluation):
        style = _style(rows[-1])
        shown = rows if rows[-1].independent_interval == 1 else rows[1:]
        places = [(row.mean_ms, 100 * row.mean_iou) for row in shown]
        axes.plot(*zip(*places, strict=True), label=method_of(rows[-1]), **style)
        reuse = [(row, place) for row, place in zip(shown, places, strict=True) if row.key_interval > 1]
        labels += [
            (f"K={row.key_interval}", place, style["color"])
            for row, place in dict([reuse[0], reuse[-1]]).items()
        ]
    for row in evaluation.rows:
        if row.trigger and row.independent_interval == 1:
            place = (row.mean_ms, 100 * row.mean_iou)
            axes.plot(*place, "*", color=plots.GREEN, markersize=11)
            labels.append((row.trigger, place, plots.GREEN))
    axes.margins(y=0.15)  # room for labels above the best
    _cut_far_below(axes, evaluation)
    inside = [label for label in labels if label[1][1] >= axes.get_ylim()[0]]
    axes.set_xlabel(f"milliseconds per frame ({evaluation.model.engine} on {evaluation.model.device})")
    axes.legend(frameon=False, fontsize=8)
    plots.label_points(axes, inside)


def _cut_far_below(axes: Axes, evaluation: Evaluation) -> None:
    """Leaves out what is of no use, and says so."""
    lowest = 100 * (per_frame_row(evaluation).mean_iou - FAR_BELOW)
    cut = axes.get_ylim()[0] < lowest
    if cut:
        axes.set_ylim(bottom=lowest)
    axes.set_ylabel(f"mIoU (%), cut at {lowest:.0f}" if cut else "mIoU (%)")


def _style(row: Row) -> dict[str, Any]:
    if row.independent_interval == 1:
        return STYLES[row.method]
    return {"color": plots.GREEN, "marker": "o", "linewidth": 1.6, "alpha": 1.2 / row.independent_interval}


def _lines(evaluation: Evaluation) -> list[list[Row]]:
    """The rows with a fixed interval, a list for each method; all begin at K = 1, where they are the same."""
    first = per_frame_row(evaluation)
    reuse = [row for row in evaluation.rows if row.key_interval > 1]
    order = list(METHODS)
    methods = sorted({(order.index(row.method), row.independent_interval) for row in reuse})
    lines = [
        [row for row in reuse if (order.index(row.method), row.independent_interval) == m] for m in methods
    ]
    return [[first, *sorted(line, key=lambda row: row.key_interval)] for line in lines]


KINDS = {"interval": draw_interval, "cost": draw_cost}
"""What is drawn, by the end of its file's name."""
