"""The result of an evaluation: plain data that becomes JSON, a table, plots and `docs/results.md`.

A measure without a value is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dcfm_lab.measure.result_file import load_result
from dcfm_ros.config import Size
from dcfm_ros.measure.machine import MachineFacts, now, this_machine

FORMAT = "dcfm_ros evaluation 1"


@dataclass(frozen=True)
class Accuracy:
    """What one method with one schedule of key frames reached, averaged over the offsets of its key frames.

    method         one of METHODS
    key_interval   a key frame every so many frames; 0 where `trigger` decides
    trigger        as on the command line, "" where the interval decides
    independent_interval   frames from one with an independent feature to the next; of the baselines 1
    offsets        how many it is averaged over
    key_share      of the frames that were key frames, 0-1
    mean_iou, weighted_iou, mean_accuracy, pixel_accuracy, per_class_iou (in the order of the classes): 0-1
    mean_iou_min, mean_iou_max: over the offsets
    vc8, vc16      video consistency over 8 and 16 frames, 0-1
    """

    method: str
    key_interval: int
    trigger: str
    offsets: int
    key_share: float
    mean_iou: float
    mean_iou_min: float
    mean_iou_max: float
    weighted_iou: float
    mean_accuracy: float
    pixel_accuracy: float
    per_class_iou: tuple[float | None, ...]
    vc8: float | None
    vc16: float | None
    independent_interval: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class InHand:
    """The newest mask that is finished when a frame comes, against that frame's truth.

    rate           of the camera, Hz
    mean_iou       0-1
    age_ms         how long ago the frame was taken that the mask is of, on average
    used_share     of the frames that were segmented at all, 0-1
    """

    rate: float
    mean_iou: float | None
    age_ms: float | None
    used_share: float


@dataclass(frozen=True)
class Row(Accuracy):
    """And what that costs.

    macs           multiply-accumulates per frame, on average over key frames and others
    key_ms, other_ms, mean_ms: milliseconds per key frame, per other frame (those whose mask is moved among them) and on average
    speed_up       mean_ms of per-frame segmentation over this row's, both measured in one run
    in_hand        one for each camera rate that was asked for; none for what looks ahead and for triggers
    """

    macs: float
    key_ms: float
    other_ms: float | None
    mean_ms: float
    speed_up: float
    in_hand: tuple[InHand, ...] = field(default=(), kw_only=True)

    @property
    def fps(self) -> float:
        """Frames per second that `mean_ms` allows."""
        return 1e3 / self.mean_ms


@dataclass(frozen=True)
class ModelFacts:
    """The model and how it ran. input_size: (width, height). macs_*: of one frame. align: of the method "dcfm"."""

    name: str
    weights: str
    sha256: str
    backbone: str
    licence: str
    parameters: int
    macs_key: int
    macs_other: int
    input_size: Size
    engine: str
    device: str
    precision: str
    align: str = "none"


@dataclass(frozen=True)
class DataFacts:
    """What it was measured on. fps: of the videos, 0 where frames stand alone."""

    name: str
    split: str
    videos: int
    frames: int
    labelled: int
    fps: float
    size: Size


@dataclass(frozen=True)
class Evaluation:
    """One model on one dataset. left_out: its last frames, which an interrupted run did not come to."""

    model: ModelFacts
    data: DataFacts
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    seconds: float
    left_out: int = 0


@dataclass(frozen=True)
class Report:
    """One run of `dcfm evaluate`. created: UTC, ISO 8601. command: as typed, paths cut to their last part."""

    format: str
    created: str
    command: str
    machine: MachineFacts
    evaluations: tuple[Evaluation, ...]


def new_report(evaluations: Sequence[Evaluation], command: str) -> Report:
    """The report of what was just measured here."""
    return Report(FORMAT, now(), command, this_machine(), tuple(evaluations))


def load_report(path: str | Path) -> Report:
    """The report in a JSON file of `dcfm evaluate`; DcfmError where it is missing or anything else."""
    return load_result(Report, path, FORMAT, "dcfm evaluate --json")
