"""Time per frame, measured side by side: every schedule takes its turn on each frame of one run.

What else the machine does at that moment then slows all of them alike, so the ratios hold where the times do
not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from dcfm_lab.evaluation.actors import BORROWING, KEY, MOVED, actor
from dcfm_lab.evaluation.config import CAUSAL, METHODS_OF_MASKS, MethodSpec
from dcfm_lab.evaluation.video import Video
from dcfm_lab.measure.rounds import WARM_UP, rotated
from dcfm_ros.arrays import Image
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.stamps import FRAME_NS

MIN_TIMES = 3
"""Fewer have no median to speak of."""


@dataclass(frozen=True)
class Speed:
    """Median milliseconds from an image in memory to its mask in memory, by kind of frame.

    key_ms: of a key frame. borrowing_ms: of one that borrows a common feature (or a mask, of a baseline). moved_ms: of one
    whose stream moved the last mask. None where there was no such frame. moved_share: of the frames that are no key
    frames, 0-1.
    """

    key_ms: float
    borrowing_ms: float | None = None
    moved_ms: float | None = None
    moved_share: float = 0.0

    @property
    def other_ms(self) -> float | None:
        """Milliseconds of any frame but key frames, on average; None where every frame was one."""
        if self.borrowing_ms is None or self.moved_ms is None:
            return self.moved_ms if self.borrowing_ms is None else self.borrowing_ms
        return (1 - self.moved_share) * self.borrowing_ms + self.moved_share * self.moved_ms

    def mean_ms(self, key_share: float) -> float:
        """Milliseconds per frame, where `key_share` (0-1) of the frames are key frames."""
        return key_share * self.key_ms + (1 - key_share) * (self.other_ms or 0.0)

    def of(self, kind: str) -> float:
        """Milliseconds of a frame of this kind, of which there was one."""
        milliseconds = {KEY: self.key_ms, BORROWING: self.borrowing_ms, MOVED: self.moved_ms}[kind]
        assert milliseconds is not None
        return milliseconds


def measure_speed(
    engine: Engine, video: Video, specs: Sequence[MethodSpec], network_size: Size, frames: int = 60
) -> dict[MethodSpec, Speed]:
    """Times each of `specs` on `frames` frames of the video, played to and fro where it is shorter.

    A baseline's key frame is that of per-frame segmentation, and so is that of a method seen on too few key
    frames.
    """
    images = _to_and_fro([video[i].rgb for i in range(min(len(video), frames))], frames + WARM_UP)
    mask_size = (images[0].shape[1], images[0].shape[0])
    actors = {spec: actor(engine, spec, network_size, mask_size) for spec in specs}
    times = {spec: _Times() for spec in specs}
    for index, image in enumerate(images):
        for spec in rotated(specs, index):
            begin = time.perf_counter()
            _, kind = actors[spec](image, (index + 1) * FRAME_NS)
            milliseconds = 1e3 * (time.perf_counter() - begin)
            if index >= WARM_UP:
                times[spec].of[kind].append(milliseconds)
    per_frame = next(
        times[spec].of[KEY] for spec in specs if spec.method == CAUSAL and spec.key_interval == 1
    )
    return {spec: times[spec].speed(per_frame, spec.method in METHODS_OF_MASKS) for spec in specs}


@dataclass
class _Times:
    of: dict[str, list[float]] = field(default_factory=lambda: {KEY: [], BORROWING: [], MOVED: []})

    def speed(self, per_frame: list[float], is_baseline: bool) -> Speed:
        key, borrowing, moved = self.of[KEY], self.of[BORROWING], self.of[MOVED]
        return Speed(
            key_ms=statistics.median(per_frame if is_baseline or len(key) < MIN_TIMES else key),
            borrowing_ms=statistics.median(borrowing) if borrowing else None,
            moved_ms=statistics.median(moved) if moved else None,
            moved_share=len(moved) / max(len(borrowing) + len(moved), 1),
        )


def _to_and_fro(images: list[Image], count: int) -> list[Image]:
    cycle = images + images[-2:0:-1]
    return [cycle[i % len(cycle)] for i in range(count)]
