"""One table over many recordings, each with a link to its own report."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from dcfm_ros.replay.many import Outcome, total_confusion
from dcfm_ros.replay.outputs import TABLE
from dcfm_ros.replay.report.page import NUMBERS, PAGE, document, finite

# Column: name, path in a run's results.json, format.
_COLUMNS = (
    ("frames", ("summary", "frames_in"), "{:d}"),
    ("masks", ("summary", "masks_out"), "{:d}"),
    ("lost", ("summary", "lost"), "{:d}"),
    ("Hz", ("summary", "frame_rate"), "{:.1f}"),
    ("p50 ms", ("summary", "latency", "p50"), "{:.1f}"),
    ("p95 ms", ("summary", "latency", "p95"), "{:.1f}"),
    ("p99 ms", ("summary", "latency", "p99"), "{:.1f}"),
    ("mIoU", ("accuracy", "mean_iou"), "{:.2%}"),
    ("VC8", ("accuracy", "video_consistency", "8"), "{:.2%}"),
    ("VC16", ("accuracy", "video_consistency", "16"), "{:.2%}"),
    ("agreement", ("summary", "agreement", "mean"), "{:.2%}"),
    ("flow consistency", ("summary", "consistency", "mean"), "{:.2%}"),
    ("confidence", ("summary", "confidence", "mean"), "{:.2%}"),
)


def write_table(outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Write page, JSON and CSV into the folder; returns the page's path."""
    total = totals(outcomes)
    runs = [
        {
            "name": o.name,
            "page": o.page,
            "problem": o.problem,
            "interrupted": o.interrupted,
            "results": o.numbers,
        }
        for o in outcomes
    ]
    (folder / NUMBERS).write_text(
        json.dumps(finite({"title": "recordings", "total": total, "runs": runs}), indent=2) + "\n",
        encoding="utf-8",
    )
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("recording", *(name for name, _, _ in _COLUMNS), "problem"))
        for outcome in outcomes:
            table.writerow(
                (outcome.name, *(_at(outcome.numbers, path) for _, path, _ in _COLUMNS), outcome.problem)
            )
    page = folder / PAGE
    page.write_text(document("recordings", _body(outcomes, total)), encoding="utf-8")
    return page


def totals(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Sums over all recordings; accuracy over all labelled pixels of all of them together."""
    values: dict[str, Any] = {"recordings": len(outcomes), "failed": sum(bool(o.problem) for o in outcomes)}
    for name in ("frames_in", "masks_out", "lost"):
        values[name] = sum(_at(outcome.numbers, ("summary", name)) or 0 for outcome in outcomes)
    matrix = total_confusion(outcomes)
    if matrix is not None:
        values["mean_iou"] = matrix.mean_iou
        values["pixel_accuracy"] = matrix.pixel_accuracy
        values["per_class_iou"] = dict(
            zip(_classes_of(outcomes), matrix.per_class_iou.tolist(), strict=False)
        )
    return values


def _classes_of(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return next(outcome.classes for outcome in outcomes if outcome.classes)


def _at(values: Any, path: tuple[str, ...]) -> Any:
    """The value at a path of keys; None where there is none."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _body(outcomes: Sequence[Outcome], total: dict[str, Any]) -> str:
    shown = [column for column in _COLUMNS if any(_at(o.numbers, column[1]) is not None for o in outcomes)]
    head = "<th>recording</th>" + "".join(f'<th class="n">{name}</th>' for name, _, _ in shown)
    rows = "".join(_row(outcome, shown) for outcome in outcomes)
    tiles = [
        ("Recordings", str(total["recordings"])),
        ("Frames", str(total["frames_in"])),
        ("Masks", str(total["masks_out"])),
    ]
    if "mean_iou" in total:
        tiles.append(("mIoU, all together", f"{total['mean_iou']:.2%}"))
    if total["failed"]:
        tiles.append(("Failed", str(total["failed"])))
    drawn = "".join(
        f'<div class="tile"><div class="name">{escape(name)}</div><div class="value">{value}</div></div>'
        for name, value in tiles
    )
    return (
        f'<header><div class="eyebrow">dcfm_ros · recordings</div><h1>{total["recordings"]} recordings, '
        f'{total["masks_out"]} masks.</h1></header><div class="tiles">{drawn}</div>'
        f'<section><h2>Every recording</h2><div class="card scroll"><table><tr>{head}</tr>{rows}</table></div></section>'
        f"{_classes(total)}"
    )


def _row(outcome: Outcome, columns: Sequence[tuple[str, tuple[str, ...], str]]) -> str:
    name = escape(outcome.name)
    if outcome.problem:
        return f'<tr><td>{name}</td><td class="wide" colspan="{len(columns)}">{escape(outcome.problem)}</td></tr>'
    early = " (interrupted)" if outcome.interrupted else ""
    cells = f'<td><a href="{escape(outcome.page)}">{name}</a>{early}</td>'
    for _, path, text in columns:
        value = _at(outcome.numbers, path)
        cells += f'<td class="n">{"" if value is None else text.format(value)}</td>'
    return f"<tr>{cells}</tr>"


def _classes(total: dict[str, Any]) -> str:
    if "per_class_iou" not in total:
        return ""
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="bar"><div><div style="width:{100 * (value if value == value else 0):.1f}%">'
        f'</div></div></td><td class="n">{"not in the labels" if value != value else f"{value:.1%}"}</td></tr>'
        for name, value in total["per_class_iou"].items()
    )
    return f'<section><h2>Classes, all recordings together</h2><div class="card"><table>{rows}</table></div></section>'
