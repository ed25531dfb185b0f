"""Collects a run frame by frame: its records, its accuracy and its pictures. Replay and demo end in the same report."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

from dcfm_ros.learn.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix, VideoConsistency
from dcfm_ros.replay.pictures import PictureBook
from dcfm_ros.replay.record import ConsistencyMeter, FrameRecord
from dcfm_ros.stream.overlay import Legend, draw_overlay


class Run:
    """What a run has come to so far. Of a long run it keeps a record per frame and a fixed number of pictures.

    Args:
        card: names and RGB colours of the classes, by id (a ModelCard).

    Attributes:
        records: one per frame, in the order added.
        confusion: of all frames with a label; None before the first.
        labelled: how many frames had a label.
        label_problems: labels that could not be used: reason -> count.
    """

    def __init__(self, card: Legend) -> None:
        self.card = card
        self.records: list[FrameRecord] = []
        self.pictures = PictureBook()
        self.confusion: ConfusionMatrix | None = None
        self.labelled = 0
        self.label_problems: Counter[str] = Counter()
        self._consistency = ConsistencyMeter()
        self._video = VideoConsistency(num_classes=len(self.card.classes))

    def lose(self, record: FrameRecord) -> None:
        """A frame for which no mask came."""
        self.records.append(record)

    def add(
        self, record: FrameRecord, rgb: np.ndarray, mask: np.ndarray, label: np.ndarray | None = None
    ) -> None:
        """A frame with its mask; what can be measured on them is added to the record.

        Args:
            rgb: uint8 H×W×3.
            mask: uint8 h×w class ids.
            label: uint8 h×w true class ids, 255 for unlabelled.
        """
        record = dataclasses.replace(
            record,
            consistency=self._consistency.step(rgb, mask),
            shares=self._shares(mask),
            accuracy=self._compare(mask, label) if label is not None else record.accuracy,
        )
        self.pictures.offer(
            len(self.records),
            record,
            rgb,
            lambda: draw_overlay(rgb, mask, self.card, legend=False),
            None if label is None else lambda: draw_overlay(rgb, label, self.card, legend=False),
        )
        self.records.append(record)

    def video_consistency(self) -> dict[int, float]:
        """Video consistency against the labels by window, 0-1; NaN where the video is too short."""
        return {window: self._video.value(window) for window in CONSISTENCY_WINDOWS} if self.labelled else {}

    def _shares(self, mask: np.ndarray) -> tuple[float, ...]:
        counts = np.bincount(mask.reshape(-1), minlength=256)[: len(self.card.classes)]
        return tuple((counts / mask.size).tolist())

    def _compare(self, mask: np.ndarray, label: np.ndarray) -> float:
        if label.shape != mask.shape:
            reason = (
                f"the label is {label.shape[1]}×{label.shape[0]}, the mask {mask.shape[1]}×{mask.shape[0]}"
            )
            self.label_problems[reason] += 1
            return float("nan")
        matrix = ConfusionMatrix.of(mask, label, len(self.card.classes))
        self.confusion = matrix if self.confusion is None else self.confusion + matrix
        self._video.add(mask, label)
        self.labelled += 1
        return matrix.pixel_accuracy
