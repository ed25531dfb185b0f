"""Collects a run frame by frame: its records, its accuracy and its pictures. Replay and live runs make the same report of it."""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict

import numpy as np

from dcfm_ros.arrays import UNLABELLED
from dcfm_ros.measure.flow import FlowConsistency
from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix, VideoConsistency
from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.pictures import PictureBook
from dcfm_ros.replay.summary import DEFAULT_SPAN_S, FrameRecord, Span, SpanNumbers, total
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
        wrong = self._wrong(mask, label) if label is not None else ""
        if wrong:
            self.label_problems[wrong] += 1
            label = None
        if label is None:
            self._gap(camera)
        record = dataclasses.replace(
            record,
            flow_consistency=camera.flow_consistency.step(rgb, mask),
            shares=self._shares(mask),
            accuracy=record.accuracy if label is None else self._compare(mask, label, span, camera),
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
        """The confusion of all frames with a label; None before the first."""
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

    def _wrong(self, mask: np.ndarray, label: np.ndarray) -> str:
        """Why a mask cannot be compared with its label; "" where it can."""
        if label.shape != mask.shape:
            return f"the label is {label.shape[1]}×{label.shape[0]}, the mask {mask.shape[1]}×{mask.shape[0]}"
        last = len(self.card.classes) - 1
        return "" if (label <= last).any() else f"none of its pixels has a class (0 to {last})"

    def _compare(self, mask: np.ndarray, label: np.ndarray, span: Span, camera: Camera) -> float:
        matrix = ConfusionMatrix.of(mask, label, len(self.card.classes))
        if ((label >= len(self.card.classes)) & (label != UNLABELLED)).any():
            last = len(self.card.classes) - 1
            self.label_problems[
                f"in part: values that are no class (0 to {last}, or {UNLABELLED} for none)"
            ] += 1
        self._video.add(mask, label, camera)
        span.compare(mask, label, matrix, camera)
        return matrix.pixel_accuracy


MAX_CAMERAS = 8
"""The ones seen last are kept; each holds a picture."""
Shape = tuple[int, ...]


class Camera:
    """A frame_id with images of one size, at its last frame.

    index: of that frame among all of the run. stamp_ns: its stamp. step_ns: by how much the stamps grew last.
    """

    def __init__(self, index: int, stamp_ns: int) -> None:
        self.index, self.stamp_ns, self.step_ns = index, stamp_ns, 0
        self.flow_consistency = FlowConsistency()

    def advance(self, index: int, stamp_ns: int) -> str:
        """Its next frame; returns why its stream breaks there, "" where it does not.

        A frame that comes late, into a gap that those before it left, is no break, as in `stream.timeline`.
        """
        by_ns = stamp_ns - self.stamp_ns
        back = by_ns < 0 and -by_ns >= self.step_ns
        self.step_ns = by_ns if by_ns > 0 else self.step_ns
        self.index, self.stamp_ns = index, stamp_ns
        if back:
            self.flow_consistency = FlowConsistency()
        return "the stamps jump back" if back else ""


class Cameras:
    """Finds the camera of each frame of a run."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, Shape | None], Camera] = OrderedDict()
        self._shapes: OrderedDict[str, Shape | None] = OrderedDict()
        self._index = -1

    def at(self, stamp_ns: int, frame_id: str, shape: Shape | None) -> tuple[Camera, str]:
        """The camera of the next frame, and why its stream breaks there ("" where it does not).

        shape: of image and mask; None where that is not known: as before.
        """
        self._index += 1
        before = self._shapes.get(frame_id)
        shape = shape or before
        key = (frame_id, shape)
        camera = self._known.pop(key, None)
        # Of two sizes that alternate, as from two cameras of one name, each goes on.
        alternates = camera is not None and camera.index == self._index - 2
        resized = before is not None and shape != before and not alternates
        if camera is None or resized:
            camera, why = Camera(self._index, stamp_ns), "the images change size" if resized else ""
        else:
            why = camera.advance(self._index, stamp_ns)
        _keep(self._known, key, camera)
        _keep(self._shapes, frame_id, shape)
        return camera, why


def _keep(table: OrderedDict, key: object, value: object) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > MAX_CAMERAS:
        table.popitem(last=False)
