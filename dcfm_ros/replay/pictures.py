"""Pictures of a run for its report: some at even distances, and the worst moments by several measures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from dcfm_ros.media.messages import encode_jpeg
from dcfm_ros.replay.summary import FrameRecord

_QUALITY = 80
# Frames next to each other look alike: of frames closer than this only the worst is shown.
_MIN_DISTANCE = 10


@dataclass(frozen=True)
class Picture:
    """One moment: JPEG bytes of the frame, of the overlay on it, and of the true labels where they exist."""

    index: int
    record: FrameRecord
    frame: bytes
    overlay: bytes
    truth: bytes | None


@dataclass(frozen=True)
class Worst:
    """A measure of how bad a moment is: the higher `badness(record)`, the worse; moments where it is NaN are left out."""

    title: str
    badness: Callable[[FrameRecord], float]
    caption: Callable[[FrameRecord], str]


def _lowest(title: str, share: str, what: str) -> Worst:
    """The lowest values of a share in a record."""
    return Worst(title, lambda r: -getattr(r, share), lambda r: f"{getattr(r, share):.1%} {what}")


WORST = (
    Worst("Slowest", lambda r: r.latency_ms, lambda r: f"{r.latency_ms:.0f} ms"),
    _lowest("Least agreement of old and new common feature", "agreement", "equal"),
    _lowest("Lowest accuracy", "accuracy", "right"),
    _lowest("Lowest confidence", "confidence", "mean"),
    _lowest("Least consistent with the frame before", "flow_consistency", "kept"),
)


class PictureBook:
    """Chooses pictures while frames come in. Holds a fixed number of JPEGs, however long the run.

    even: at most this many pictures at even distances (at least half of it, once there are enough frames).
    worst: pictures per measure of `WORST`. width: pictures wider than this are scaled down to it.
    """

    def __init__(self, even: int = 24, worst: int = 3, width: int = 640) -> None:
        self._even_max, self._worst_max, self._width = even, worst, width
        self._stride = 1
        self.even: list[Picture] = []  # at even distances, first frame first
        self._worst: dict[str, list[tuple[float, Picture]]] = {measure.title: [] for measure in WORST}

    def offer(
        self,
        index: int,
        record: FrameRecord,
        frame: np.ndarray,
        overlay: Callable[[], np.ndarray],
        truth: Callable[[], np.ndarray] | None = None,
    ) -> None:
        """Keep the moment if it is worth it. Pictures are uint8 H×W×3 RGB; those of masks are drawn only when kept."""
        bad = [measure for measure in WORST if self._is_among_worst(measure, index, record)]
        even = index % self._stride == 0
        if not (bad or even):
            return
        picture = Picture(
            index,
            record,
            self._jpeg(frame),
            self._jpeg(overlay()),
            self._jpeg(truth()) if truth is not None else None,
        )
        for measure in bad:
            moments = self._worst[measure.title]
            moments[:] = [moment for moment in moments if index - moment[1].index >= _MIN_DISTANCE]
            moments.append((measure.badness(record), picture))
            moments.sort(key=lambda moment: moment[0], reverse=True)
            del moments[self._worst_max :]
        if even:
            self.even.append(picture)
            if len(self.even) > self._even_max:
                self._stride *= 2
                self.even = [kept for kept in self.even if kept.index % self._stride == 0]

    def _is_among_worst(self, measure: Worst, index: int, record: FrameRecord) -> bool:
        badness, moments = measure.badness(record), self._worst[measure.title]
        if math.isnan(badness):
            return False
        rivals = [worse for worse, picture in moments if index - picture.index < _MIN_DISTANCE]
        if rivals:
            return badness > max(rivals)
        return len(moments) < self._worst_max or badness > moments[-1][0]

    def _jpeg(self, rgb: np.ndarray) -> bytes:
        height, width = rgb.shape[:2]
        if width > self._width:
            size = (self._width, max(1, round(height * self._width / width)))
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        return encode_jpeg(rgb, _QUALITY)

    def worst(self) -> list[tuple[Worst, list[Picture]]]:
        """For each measure that is known in this run: the worst moments, worst first."""
        found = [(measure, [picture for _, picture in self._worst[measure.title]]) for measure in WORST]
        return [(measure, pictures) for measure, pictures in found if pictures]
