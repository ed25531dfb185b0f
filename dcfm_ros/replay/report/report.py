"""What a run has to say, as a value and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dcfm_ros.measure.machine import this_machine
from dcfm_ros.measure.machine_load import LoadSample, load_json
from dcfm_ros.measure.metrics import ConfusionMatrix
from dcfm_ros.measure.table import counted
from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.frame_record import FrameRecord
from dcfm_ros.replay.pictures import PictureBook
from dcfm_ros.replay.report.files import finite
from dcfm_ros.replay.spans import SpanNumbers
from dcfm_ros.replay.summary import Summary, summarise
from dcfm_ros.replay.tally import Tally


@dataclass(frozen=True)
class Report:
    """Everything a report shows.

    Attributes:
        title: what was run, in two words.
        subject: what went in, in a sentence.
        latency_meaning: from what to what the latency counts.
        rest_meaning: what the part of the latency is that no step accounts for.
        classes, colors: names and RGB colours of the classes, by id.
        summary, records: the numbers and the frames they come from.
        pictures: moments to show.
        confusion: of all labelled frames; None without labels.
        latest_mask: of all labels against the newest mask finished when their frame arrived; None outside of real time.
        consistency_windows: video consistency against the labels by window length, 0-1.
        labelled: number of frames that had a label.
        interval_ms: time between two frames as recorded, None where unknown.
        load: what the node's process used of the machine; empty where there was no such process.
        spans: the numbers of every time span of the run.
        notes: what the reader must know: frames skipped, reading that stopped early, an interrupted run.
        settings, machine: tables of words.
        files: what lies beside the page: name -> what it is.
        extra: further values for the JSON.
    """

    title: str
    subject: str
    latency_meaning: str
    rest_meaning: str
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    summary: Summary
    records: Sequence[FrameRecord]
    pictures: PictureBook
    confusion: ConfusionMatrix | None = None
    latest_mask: ConfusionMatrix | None = None
    consistency_windows: dict[int, float] = field(default_factory=dict)
    labelled: int = 0
    interval_ms: float | None = None
    load: Sequence[LoadSample] = ()
    spans: Sequence[SpanNumbers] = ()
    notes: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def mean_iou(self) -> float | None:
        """0-1; None without labels."""
        return None if self.confusion is None or not self.confusion.pixels else self.confusion.mean_iou

    @property
    def headline(self) -> str:
        """The run in one sentence."""
        summary = self.summary
        text = (
            f"{counted(summary.frames_in, 'frame')} in, {counted(summary.masks_out, 'mask')} out, "
            f"{summary.lost} lost"
        )
        if summary.latency is not None:
            text += f"; 95 % within {summary.latency.percentiles[95]:.0f} ms"
        return text + "."


def report_of(
    tally: Tally,
    card: ModelCard,
    *,
    subject: str,
    settings: dict[str, str],
    notes: Sequence[str],
    **fields: Any,
) -> Report:
    """The report of what has been counted.

    Args:
        card: of the model.
        subject: what was played and how, in a sentence without its end: the processor's name follows.
        settings: beside the model's.
        notes: beside the tally's.
        fields: further fields of the report.
    """
    facts = this_machine().words()
    told = (("label", "not used", tally.label_problems), ("break", "in the stream", tally.breaks))
    notes = [
        *notes,
        *(f"{counted(n, noun)} {what}: {why}" for noun, what, reasons in told for why, n in reasons.items()),
    ]
    return Report(
        subject=f"{subject} on {facts.get('Processor', 'this machine')}.",
        classes=card.classes,
        colors=card.colors,
        summary=summarise(tally.records),
        records=tally.records,
        pictures=tally.pictures,
        confusion=tally.confusion,
        latest_mask=tally.latest_mask,
        consistency_windows=tally.video_consistency(),
        labelled=tally.labelled,
        spans=tally.spans(),
        notes=tuple(notes),
        settings={**settings, "Model": card.name, "Licence of the weights": card.licence},
        machine=facts,
        **fields,
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report's numbers. `metrics` has the names of ros2_benchmark; NaN and infinities are null."""
    values: dict[str, Any] = {
        "title": report.title,
        "subject": report.subject,
        "latency": report.latency_meaning,
        "metrics": report.summary.benchmark | load_json(report.load),
        "summary": report.summary.as_json(),
        "settings": report.settings,
        "machine": report.machine,
        "notes": list(report.notes),
        "spans": [span.as_json(report.classes) for span in report.spans],
        **report.extra,
    }
    if report.confusion is not None:
        values["accuracy"] = {
            "labelled_frames": report.labelled,
            "mean_iou": report.confusion.mean_iou,
            "weighted_iou": report.confusion.weighted_iou,
            "mean_accuracy": report.confusion.mean_accuracy,
            "pixel_accuracy": report.confusion.pixel_accuracy,
            "per_class_iou": dict(zip(report.classes, report.confusion.per_class_iou.tolist(), strict=False)),
            "video_consistency": {str(window): value for window, value in report.consistency_windows.items()},
        }
    if report.latest_mask is not None:
        matrix = report.latest_mask
        values["accuracy_latest_mask"] = {
            "mean_iou": matrix.mean_iou,
            "pixel_accuracy": matrix.pixel_accuracy,
        }
    return finite(values)
