"""What a run has to say, as a value and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dcfm_ros.config import usable_cores
from dcfm_ros.measure.machine import LoadSample, load_json, this_machine
from dcfm_ros.measure.table import counted, reasons
from dcfm_ros.replay.report.files import finite
from dcfm_ros.replay.run_video import RunVideo
from dcfm_ros.replay.summary import SpanNumbers, Summary, summarise
from dcfm_ros.replay.tally import Tally

MAX_OTHERS_CORES = 0.5
"""Above this, times measured here say little about a machine that does nothing else."""


@dataclass(frozen=True)
class Report:
    """Everything a report shows."""

    title: str  # what was run, in two words
    subject: str  # what went in, in a sentence
    latency_meaning: str  # from what to what the latency counts
    rest_meaning: str  # what the part of the latency is that no step accounts for
    run: Tally
    summary: Summary
    can_lose: bool = True  # a frame could come too late for its turn, so that "0 lost" says something
    interval_ms: float | None = None  # between two frames as recorded, None where unknown
    load: Sequence[LoadSample] = ()  # what the node's process used; empty where there was none
    spans: Sequence[SpanNumbers] = ()
    notes: tuple[str, ...] = ()  # frames skipped, reading that stopped early, an interrupted run
    settings: dict[str, str] = field(default_factory=dict)  # in words, as the next
    machine: dict[str, str] = field(default_factory=dict)
    others_cores: float | None = None  # that everything else kept busy meanwhile, None where unknown
    files: dict[str, str] = field(default_factory=dict)  # what lies beside the page: name -> what it is
    video: RunVideo | None = None  # in which the page steps from frame to frame
    extra: dict[str, Any] = field(default_factory=dict)  # further values for the JSON

    @property
    def mean_iou(self) -> float | None:
        """0-1; None without labels."""
        matrix = self.run.confusion
        return matrix.mean_iou if matrix is not None and matrix.pixels else None

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and one more where the machine had other work."""
        return (*self.notes, *busy(self.others_cores))

    @property
    def headline(self) -> str:
        """The run in one sentence."""
        summary = self.summary
        text = f"{counted(summary.frames_in, 'frame')} in, {counted(summary.masks_out, 'mask')} out"
        if summary.lost or self.can_lose:
            text += f", {summary.lost} lost"
        if summary.stale:
            text += f", {summary.stale} stale"
        if summary.latency is not None:
            text += f"; 95 % within {summary.latency.percentiles[95]:.0f} ms"
        return text + "."


def report_of(
    run: Tally, *, subject: str, settings: dict[str, str], notes: Sequence[str], **fields: Any
) -> Report:
    """The report of what has been counted.

    subject: what was played and how, in a sentence without its end: the processor's name follows. settings:
    beside the model's. notes: beside those of the run. fields: further fields of the report.
    """
    facts = this_machine().words()
    odd = reasons("label", "not used", run.label_problems) + reasons("break", "in the stream", run.breaks)
    return Report(
        subject=f"{subject} on {facts.get('Processor', 'this machine')}.",
        run=run,
        summary=summarise(run.records),
        spans=run.spans(),
        notes=(*notes, *odd),
        settings={**settings, "Model": run.card.name, "Licence of the weights": run.card.licence},
        machine=facts,
        **fields,
    )


def busy(others_cores: float | None) -> list[str]:
    """What to know of times measured while everything else kept that many cores busy; nothing where that is little."""
    if others_cores is None or others_cores < MAX_OTHERS_CORES:
        return []
    return [
        f"everything else on this machine kept {others_cores:.1f} of {usable_cores()} cores busy meanwhile; on an idle one "
        "the times are shorter"
    ]


def in_common(tables: Iterable[dict[str, str]]) -> dict[str, str]:
    """The entries that all tables of words have alike."""
    tables = list(tables)
    return {
        name: value
        for name, value in (tables[0] if tables else {}).items()
        if all(table.get(name) == value for table in tables)
    }


def as_json(report: Report) -> dict[str, Any]:
    """The report's numbers. `metrics` has the names of ros2_benchmark; NaN and infinities are null."""
    run, matrix = report.run, report.run.confusion
    values: dict[str, Any] = {
        "title": report.title,
        "subject": report.subject,
        "latency": report.latency_meaning,
        "metrics": report.summary.benchmark | load_json(report.load),
        "summary": vars(report.summary),
        "settings": report.settings,
        "machine": report.machine,
        "others_cores": report.others_cores,
        "notes": list(report.notes),
        "spans": [vars(span) for span in report.spans],
        **report.extra,
    }
    if matrix is not None:
        values["accuracy"] = {
            "labelled_frames": run.labelled,
            "mean_iou": matrix.mean_iou,
            "weighted_iou": matrix.weighted_iou,
            "mean_accuracy": matrix.mean_accuracy,
            "pixel_accuracy": matrix.pixel_accuracy,
            "per_class_iou": dict(zip(run.card.classes, matrix.per_class_iou.tolist(), strict=False)),
            "video_consistency": {str(window): value for window, value in run.video_consistency().items()},
        }
    if (latest := run.latest_mask) is not None:
        values["accuracy_latest_mask"] = {
            "mean_iou": latest.mean_iou,
            "pixel_accuracy": latest.pixel_accuracy,
        }
    return finite(values)
