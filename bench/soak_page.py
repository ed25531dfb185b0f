"""docs/reliability.md: its numbers and its plot, from a soak's result."""

from __future__ import annotations

from pathlib import Path

from markdown import fill
from soak_result import FaultRow, Growth, Soak
from soak_schedule import CALM, FAULTS

from dcfm_lab.measure.plots import BLUE, ORANGE, new_plot, save_plot
from dcfm_ros.measure.table import Column, Table

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "reliability.md"
PLOT = DOCS / "pictures" / "soak.svg"
MARKS = "<!-- soak: begin -->", "<!-- soak: end -->"


def write_page(result: Soak) -> None:
    """The page and its plot."""
    PAGE.write_text(render(result, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(result)


def render(result: Soak, text: str) -> str:
    """The page with this result."""
    parts = (
        _what_was_run(result),
        f"```\n{result.command}\n```",
        outcome(result),
        _faults(result).markdown(),
        "### Memory, threads, descriptors",
        _trends(result),
        "![Resident memory of the node over time](pictures/soak.svg)",
    )
    return fill(text, MARKS, "\n\n".join(parts)) or text


def _what_was_run(result: Soak) -> str:
    machine = result.machine
    ros = f"ROS 2 {machine.ros}" if machine.ros else f"rclpy {machine.rclpy}"
    injected = sum(row.injected for row in result.rows)
    frames = sum(row.usable_frames + row.bad_frames for row in result.rows)
    return (
        f"Run on {result.date[:10]}: **{result.seconds / 60:.0f} minutes**, {injected} faults, {frames} frames of "
        f"{result.size[0]}×{result.size[1]} at {result.rate_hz:g} Hz, seed {result.seed}; {result.lives} processes of the "
        f"node, configured {result.setups} times. {result.engine}. {machine.processor}, {machine.cores} cores, of which "
        f"other processes (the soak's camera is none of them) kept {result.others:.1f} busy; Python {machine.python}, {ros}."
    )


def outcome(result: Soak) -> str:
    """Whether the node kept its promises, in Markdown."""
    if result.problems:
        return "**It failed:**\n\n" + "\n".join(f"- {problem}" for problem in result.problems)
    usable, masks = (sum(getattr(row, name) for row in result.rows) for name in ("usable_frames", "masks"))
    dropped, away = (sum(getattr(row, name) for row in result.rows) for name in ("dropped", "nobody_there"))
    return (
        f"It passed: of {usable} frames that could be used {masks} got a mask, {dropped} were dropped as `/diagnostics` says, "
        f"{away} were sent while node or camera were not there, and none was lost without a reason."
    )


def _faults(result: Soak) -> Table:
    columns: list[Column[FaultRow]] = [
        ("fault", _name),
        ("times", lambda row: "" if row.kind == CALM else str(row.injected)),
        *("bad_frames", "usable_frames", "masks", "dropped", "nobody_there", "unexplained"),
    ]
    return Table.of(result.rows, columns)


def _name(row: FaultRow) -> str:
    if row.kind == CALM:
        return "none"
    return f"{row.kind}: {FAULTS[row.kind]}" if row.kind in FAULTS else row.kind


def _trends(result: Soak) -> str:
    if not result.growths:
        return "The run was too short to say whether anything grows."
    table = Table.of(
        result.growths,
        [
            ("quantity", lambda row: f"{row.what}, {row.unit}" if row.unit else row.what),
            ("at half time", lambda row: f"{row.begin:.0f}"),
            ("growth since", lambda row: f"{row.growth:+.1f}"),
            ("limit", lambda row: f"{row.limit:g}"),
        ],
    )
    return f"{_fit(result.growths[0])}\n\n{table.markdown()}"


def _fit(growth: Growth) -> str:
    return (
        f"The line through the second half of the longest life ({growth.seconds / 60:.1f} minutes), whose slope is the median of "
        f"those of all pairs of samples:"
    )


def draw(result: Soak) -> None:
    """Memory over time, a line for each process of the node."""
    figure, axes = new_plot("Resident memory of the node, MiB", (6.4, 2.6))
    for life in sorted({sample.life for sample in result.samples}):
        samples = [sample for sample in result.samples if sample.life == life]
        color = BLUE if life % 2 else ORANGE
        axes.plot([s.at_s / 60 for s in samples], [s.memory for s in samples], color=color, linewidth=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes")
    save_plot(figure, PLOT)
