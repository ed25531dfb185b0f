"""Plots by matplotlib, which is optional: one look for all of them, and the same file for the same numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from dcfm_ros.errors import DcfmError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that people who see red and green alike tell apart (Okabe and Ito).
BLUE, GREEN, SKY, PURPLE, ORANGE, RED = "#0072B2", "#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#D55E00"
GREY = "#666666"


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


def save_plot(figure: Figure, path: Path) -> None:
    """Writes PNG or SVG by the path's suffix; the folder is made where it does not exist."""
    from matplotlib import rc_context

    path.parent.mkdir(parents=True, exist_ok=True)
    # Text stays text, and nothing in the file is random.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dcfm_ros"}):
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else None)
