"""Plots by matplotlib, which is optional: one look for all of them, and the same file for the same numbers."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dcfm_ros.errors import DcfmError
from dcfm_ros.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that people who see red and green alike tell apart (Okabe and Ito).
BLUE, GREEN, SKY, PURPLE, ORANGE, RED = "#0072B2", "#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#D55E00"
GREY = "#666666"
FONT_SIZE = 7
"""The size of labels."""


def require_matplotlib() -> None:
    """Raises DcfmError where plots cannot be made: to be called before the work, not after it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise DcfmError("plots need matplotlib, which is not installed; `pip install matplotlib`")


def new_plot(title: str, size: tuple[float, float] = (6.4, 4.2)) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes. size: width and height, inches. DcfmError without matplotlib."""
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize=10, loc="left")
    return figure, axes


def draw_band(
    axes: Axes, x: Sequence[float], low: Sequence[float], high: Sequence[float], color: str
) -> None:
    """The range of a curve: from `low` to `high` over `x`."""
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


Label = tuple[str, tuple[float, float], str]
"""Text, the point it belongs to, and its colour."""

_OFFSETS = [(x, y) for far in (1, 2, 3, 4) for x in (4 * far, -4 * far) for y in (5 * far, -5 * far, 0)]
"""Where a label may stand beside its point, in points of typography, the best place first."""


def label_points(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes a label beside each point, where it covers neither a point nor another label, as far as there is room.

    To be called when all else is drawn, for that decides where points lie.
    """
    from matplotlib.transforms import Bbox

    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    points = axes.transData.transform([place for _, place, _ in labels]) * 72 / figure.dpi
    taken = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in points]
    for (text, place, color), (x, y) in zip(labels, points, strict=True):
        width, height = 0.6 * FONT_SIZE * len(text), 1.2 * FONT_SIZE
        boxes = {
            (right, up): Bbox.from_bounds(
                x + (right if right > 0 else right - width), y + up - height / 2, width, height
            )
            for right, up in _OFFSETS
        }
        offset = min(boxes, key=lambda offset: boxes[offset].count_overlaps(taken))
        taken.append(boxes[offset])
        side = "left" if offset[0] > 0 else "right"
        axes.annotate(
            text,
            place,
            offset,
            textcoords="offset points",
            fontsize=FONT_SIZE,
            color=color,
            ha=side,
            va="center",
        )


def save_plot(figure: Figure, path: Path) -> None:
    """Writes PNG or SVG by the path's suffix; the folder is made where it does not exist."""
    from matplotlib import rc_context

    form = path.suffix[1:] or "png"
    # Text stays text, and nothing in the file is random.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dcfm_ros"}), whole_file(path) as file:
        figure.savefig(file, format=form, dpi=160, metadata={"Date": None} if form == "svg" else None)
