"""Time per frame, measured side by side: every schedule takes its turn on each frame of one run.

What else the machine does at that moment then slows all of them alike, so the ratios hold where the times do
not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dcfm_ros.arrays import Image
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.learn.evaluation.config import BIDIRECTIONAL, CAUSAL, COPIED, PUBLISHED, MethodSpec
from dcfm_ros.learn.evaluation.methods import inline_config
from dcfm_ros.learn.evaluation.scene import mask_flow
from dcfm_ros.learn.evaluation.video import Video
from dcfm_ros.measure.flow import OpticalFlow, warp
from dcfm_ros.measure.rounds import WARM_UP, rotated
from dcfm_ros.stamps import FRAME_NS
from dcfm_ros.stream.preprocess import preprocess
from dcfm_ros.stream.segmenter import StreamSegmenter

MIN_TIMES = 3
"""Fewer have no median to speak of."""


@dataclass(frozen=True)
class Speed:
    """Median milliseconds from an image in memory to its mask in memory, of a key frame and of any other.

    other_ms: None where every frame was a key frame.
    """

    key_ms: float
    other_ms: float | None

    def mean_ms(self, key_share: float) -> float:
        """Per frame, where `key_share` (0-1) of the frames are key frames."""
        return key_share * self.key_ms + (1 - key_share) * (self.other_ms or 0.0)


def measure_speed(
    engine: Engine, video: Video, specs: Sequence[MethodSpec], network_size: Size, frames: int = 60
) -> dict[MethodSpec, Speed]:
    """Times each of `specs` on `frames` frames of the video, played to and fro where it is shorter.

    A baseline's key frame is that of per-frame segmentation, and so is that of a method seen on too few key
    frames.
    """
    images = _to_and_fro([video[i].rgb for i in range(min(len(video), frames))], frames + WARM_UP)
    mask_size = (images[0].shape[1], images[0].shape[0])
    actors = {spec: _actor(engine, spec, network_size, mask_size) for spec in specs}
    times = {spec: _Times() for spec in specs}
    for index, image in enumerate(images):
        for spec in rotated(specs, index):
            begin = time.perf_counter()
            key_frame = actors[spec](image, (index + 1) * FRAME_NS)
            milliseconds = 1e3 * (time.perf_counter() - begin)
            if index >= WARM_UP:
                times[spec].add(milliseconds, key_frame)
    per_frame = next(times[spec].key for spec in specs if spec.method == CAUSAL and spec.key_interval == 1)
    return {spec: spec_times.speed(per_frame) for spec, spec_times in times.items()}


@dataclass
class _Times:
    key: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)

    def add(self, milliseconds: float, key_frame: bool) -> None:
        (self.key if key_frame else self.other).append(milliseconds)

    def speed(self, per_frame: list[float]) -> Speed:
        return Speed(
            key_ms=statistics.median(self.key if len(self.key) >= MIN_TIMES else per_frame),
            other_ms=statistics.median(self.other) if self.other else None,
        )


# Labels an image with a stamp in one of the ways compared, and says whether it took it for a key frame.
Actor = Callable[[Image, int], bool]


def _actor(engine: Engine, spec: MethodSpec, network_size: Size, mask_size: Size) -> Actor:
    if spec.method in (CAUSAL, PUBLISHED):
        return _stream(engine, spec, network_size, mask_size)
    if spec.method == BIDIRECTIONAL:
        return _both_sides(engine, network_size, mask_size)
    return _copy if spec.method == COPIED else _flow(mask_flow(spec.method, network_size), mask_size)


def _stream(engine: Engine, spec: MethodSpec, network_size: Size, mask_size: Size) -> Actor:
    stream = StreamSegmenter(engine, inline_config(spec, network_size, mask_size))
    return lambda image, stamp_ns: stream.step(image, stamp_ns).key_frame


def _both_sides(engine: Engine, network_size: Size, mask_size: Size) -> Actor:
    """A frame between two key frames: one independent feature, two fusions."""
    commons: list[object] = []

    def label(image: Image, stamp_ns: int) -> bool:
        independent = engine.independent(preprocess(image, network_size))
        if not commons:
            commons.append(engine.common(independent))
            return True
        logits = engine.logits(commons[0], independent) + engine.logits(commons[0], independent)
        engine.label_map(logits, mask_size)
        return False

    return label


def _copy(image: Image, stamp_ns: int) -> bool:
    return False


def _flow(flow: OpticalFlow, mask_size: Size) -> Actor:
    before: list[Image] = []
    mask = np.zeros(mask_size[::-1], np.uint8)

    def move(image: Image, stamp_ns: int) -> bool:
        if before:
            warp(mask, flow.back(image, before.pop()))
        before.append(image)
        return False

    return move


def _to_and_fro(images: list[Image], count: int) -> list[Image]:
    cycle = images + images[-2:0:-1]
    return [cycle[i % len(cycle)] for i in range(count)]
