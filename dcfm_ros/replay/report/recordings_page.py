"""The page of many recordings: one table over all, each with a link to its own report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from dcfm_ros.measure.table import Table, counted, number, percent
from dcfm_ros.replay.many import Outcome
from dcfm_ros.replay.outputs import TABLE
from dcfm_ros.replay.report import tables
from dcfm_ros.replay.report.files import write_csv, write_numbers, write_page
from dcfm_ros.replay.report.report import in_common
from dcfm_ros.replay.summary import total as sum_of

# Column: name, path in a run's results.json, format; % is a share.
_COLUMNS = (
    ("frames", ("summary", "frames_in"), "d"),
    ("masks", ("summary", "masks_out"), "d"),
    ("lost", ("summary", "lost"), "d"),
    ("Hz", ("summary", "frame_rate"), ".1f"),
    ("p50 ms", ("summary", "latency", "p50"), ".1f"),
    ("p95 ms", ("summary", "latency", "p95"), ".1f"),
    ("p99 ms", ("summary", "latency", "p99"), ".1f"),
    ("mIoU", ("accuracy", "mean_iou"), "%"),
    ("VC8", ("accuracy", "video_consistency", "8"), "%"),
    ("VC16", ("accuracy", "video_consistency", "16"), "%"),
    ("agreement", ("summary", "agreement", "mean"), "%"),
    ("flow consistency", ("summary", "flow_consistency", "mean"), "%"),
    ("confidence", ("summary", "confidence", "mean"), "%"),
)
_NAMES = tuple(name for name, _, _ in _COLUMNS)


def write_recordings(outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Write page, JSON and CSV into the folder; returns the page's path."""
    total = totals(outcomes)
    ious = total.get("per_class_iou", {}).items()
    told = ("name", "page", "problem", "interrupted")
    runs = [{**{name: getattr(o, name) for name in told}, "results": o.numbers} for o in outcomes]
    known = [outcome.numbers for outcome in outcomes if outcome.numbers]
    circumstances = {name: in_common(numbers[name] for numbers in known) for name in ("settings", "machine")}
    write_numbers(folder, {"title": "recordings", "total": total, **circumstances, "runs": runs})
    head = ("recording", *_NAMES, "problem")
    rows = ([o.name, *(_at(o.numbers, path) for _, path, _ in _COLUMNS), o.problem] for o in outcomes)
    write_csv(folder / TABLE, head, rows)
    return write_page(
        folder,
        "recordings.html",
        title="recordings",
        headline=f"{counted(total['recordings'], 'recording')}, {counted(total['masks_out'], 'mask')}.",
        outcomes=outcomes,
        total=total,
        table=recordings_table(outcomes),
        class_table=Table(("class", "IoU"), tuple((name, tables.iou(iou)) for name, iou in ious))
        if ious
        else None,
        **circumstances,
    )


def recordings_table(
    outcomes: Sequence[Outcome], shown: Collection[str] = _NAMES, *, brief: bool = False
) -> Table:
    """A row for every recording, with what is known of at least one; the last cell says what went wrong.

    shown: heads of the columns between the first and the last. brief: that something went wrong is enough.
    """

    def column(path: tuple[str, ...], form: str) -> Callable[[Outcome], str]:
        return lambda outcome: _shown(_at(outcome.numbers, path), form)

    columns = [(name, column(path, form)) for name, path, form in _COLUMNS if name in shown]

    def remark(outcome: Outcome) -> str:
        if outcome.problem:
            return _verdict(outcome) if brief else outcome.problem
        return "interrupted" if outcome.interrupted else ""

    table = Table.of(outcomes, [("recording", lambda outcome: outcome.name), *columns, ("", remark)])
    return table.without_empty_columns()


def totals(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts over all recordings, and the accuracy of all their labelled pixels together."""
    verdicts = [_verdict(outcome) for outcome in outcomes if outcome.problem]
    values: dict[str, Any] = {"recordings": len(outcomes)}
    values |= {word: verdicts.count(word) for word in ("failed", "incomplete")}
    for name in ("frames_in", "masks_out", "lost"):
        values[name] = sum(_at(outcome.numbers, ("summary", name)) or 0 for outcome in outcomes)
    matrix = sum_of(outcome.confusion for outcome in outcomes)
    if matrix is not None:
        classes = next(outcome.classes for outcome in outcomes if outcome.classes)
        values["mean_iou"] = matrix.mean_iou
        values["pixel_accuracy"] = matrix.pixel_accuracy
        values["per_class_iou"] = dict(zip(classes, matrix.per_class_iou.tolist(), strict=False))
    return values


def _verdict(outcome: Outcome) -> str:
    """What to call a recording with a problem: no report, or one that is not of all that was asked for."""
    return "failed" if outcome.numbers is None else "incomplete"


def _at(values: Any, path: tuple[str, ...]) -> Any:
    """The value at a path of keys; None where there is none."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _shown(value: float | None, form: str) -> str:
    return percent(value, 2) if form == "%" else number(value, form)


def recordings_text(outcomes: Sequence[Outcome]) -> str:
    """One line per recording, and the accuracy over all of them."""
    iou = totals(outcomes).get("mean_iou")
    accuracy = "" if iou is None else f"mIoU of all labelled pixels together: {percent(iou, 2)}"
    notes = [
        f"{outcome.name}, {_verdict(outcome)}: {outcome.problem}" for outcome in outcomes if outcome.problem
    ]
    table = recordings_table(outcomes, ("frames", "masks", "lost", "p95 ms", "mIoU"), brief=True).text()
    return tables.titled(counted(len(outcomes), "recording"), [table, accuracy], notes)
