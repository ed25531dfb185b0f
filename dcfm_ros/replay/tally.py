"""Collects a run frame by frame: its records, its accuracy and its pictures. Replay and live runs make the same report of it."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

from dcfm_ros.arrays import UNLABELLED
from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix, VideoConsistency
from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.cameras import Camera, Cameras
from dcfm_ros.replay.frame_record import FrameRecord
from dcfm_ros.replay.pictures import PictureBook
from dcfm_ros.replay.summary import DEFAULT_SPAN_S, Span, SpanNumbers, total
from dcfm_ros.stream.overlay import draw_overlay


class Tally:
    """What is known of a run so far: a fixed number of pictures, and the numbers of every frame (about 1.5 kB).

    card: of the model. span_s: the longest a span gets, seconds of message time.
    records: one per frame, in the order added. latest_mask: of all labels against the newest mask finished when
    their frame arrived; None outside of real time. label_problems: labels that could not be used: reason ->
    count. breaks: places where the stream starts over: reason -> count.
    """

    def __init__(self, card: ModelCard, span_s: float = DEFAULT_SPAN_S) -> None:
        self.card = card
        self.records: list[FrameRecord] = []
        self.pictures = PictureBook()
        self.latest_mask: ConfusionMatrix | None = None
        self.label_problems: Counter[str] = Counter()
        self.breaks: Counter[str] = Counter()
        self._video = VideoConsistency(num_classes=len(card.classes))
        self._spans: list[Span] = []
        self._span_ns = span_s * 1e9
        self._cameras = Cameras()

    def lose(self, record: FrameRecord, frame_id: str = "") -> None:
        """Add a frame without a mask."""
        camera, why = self._cameras.at(record.stamp_ns, frame_id, None)
        self._span(record, camera, why)
        self._gap(camera)
        self.records.append(record)

    def add(
        self,
        record: FrameRecord,
        rgb: np.ndarray,
        mask: np.ndarray,
        label: np.ndarray | None = None,
        *,
        frame_id: str = "",
    ) -> None:
        """Add a frame with its mask; what can be measured on them is added to the record.

        rgb: uint8 H×W×3. mask: uint8 h×w class ids. label: uint8 h×w true class ids, 255 for unlabelled.
        frame_id: of the camera. What is measured from frame to frame is so for each camera.
        """
        camera, why = self._cameras.at(record.stamp_ns, frame_id, (*rgb.shape[:2], *mask.shape))
        span = self._span(record, camera, why)
        if label is None or label.shape != mask.shape:
            self._gap(camera)
        record = dataclasses.replace(
            record,
            consistency=camera.consistency.step(rgb, mask),
            shares=self._shares(mask),
            accuracy=self._compare(mask, label, span, camera) if label is not None else record.accuracy,
        )
        self.pictures.offer(
            len(self.records),
            record,
            rgb,
            lambda: draw_overlay(rgb, mask, self.card, legend=False),
            None if label is None else lambda: draw_overlay(rgb, label, self.card, legend=False),
        )
        self.records.append(record)

    def add_latest(self, mask: np.ndarray, label: np.ndarray) -> None:
        """The newest mask finished when a frame arrives, and that frame's label; other sizes are left out."""
        if mask.shape == label.shape:
            matrix = ConfusionMatrix.of(mask, label, len(self.card.classes))
            self.latest_mask = total((self.latest_mask, matrix))

    @property
    def confusion(self) -> ConfusionMatrix | None:
        """Of all frames with a label; None before the first."""
        return total(span.confusion for span in self._spans)

    @property
    def labelled(self) -> int:
        """How many frames had a label."""
        return sum(span.labelled for span in self._spans)

    def video_consistency(self) -> dict[int, float]:
        """Video consistency against the labels by window, 0-1; NaN where the video is too short."""
        return {window: self._video.value(window) for window in CONSISTENCY_WINDOWS} if self.labelled else {}

    def spans(self) -> list[SpanNumbers]:
        """The numbers of every span."""
        ends = [*(span.first for span in self._spans[1:]), len(self.records)]
        return [
            span.numbers(self.records[span.first : end], self.records[0].stamp_ns, self.card.classes)
            for span, end in zip(self._spans, ends, strict=True)
        ]

    def _span(self, record: FrameRecord, camera: Camera, why: str) -> Span:
        """The span the next record belongs to. why: the camera's stream begins again here, as does what is measured from
        frame to frame."""
        if why:
            self.breaks[why] += 1
            self._video.next_video(camera)
        last = self._spans[-1] if self._spans else None
        if last and not why and record.stamp_ns - self.records[last.first].stamp_ns < self._span_ns:
            return last
        if last:
            last.video.forget()  # it is finished: its per-pixel state can go
        self._spans.append(Span(len(self.records), VideoConsistency(num_classes=len(self.card.classes))))
        return self._spans[-1]

    def _gap(self, camera: Camera) -> None:
        """A frame that cannot be compared: video consistency is about frames that follow each other."""
        self._video.next_video(camera)
        if self._spans:
            self._spans[-1].video.next_video(camera)

    def _shares(self, mask: np.ndarray) -> tuple[float, ...]:
        counts = np.bincount(mask.reshape(-1), minlength=256)[: len(self.card.classes)]
        return tuple((counts / mask.size).tolist())

    def _compare(self, mask: np.ndarray, label: np.ndarray, span: Span, camera: Camera) -> float:
        if label.shape != mask.shape:
            reason = (
                f"the label is {label.shape[1]}×{label.shape[0]}, the mask {mask.shape[1]}×{mask.shape[0]}"
            )
            self.label_problems[reason] += 1
            return float("nan")
        matrix = ConfusionMatrix.of(mask, label, len(self.card.classes))
        if ((label >= len(self.card.classes)) & (label != UNLABELLED)).any():
            last = len(self.card.classes) - 1
            self.label_problems[
                f"in part: values that are no class (0 to {last}, or {UNLABELLED} for none)"
            ] += 1
        self._video.add(mask, label, camera)
        span.compare(mask, label, matrix, camera)
        return matrix.pixel_accuracy
