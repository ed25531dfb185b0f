"""Evaluation: every method and schedule over the same videos, in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean

from dcfm_ros.arrays import Mask
from dcfm_ros.engines.base import Engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.learn.evaluation.config import EvaluationConfig, MethodSpec
from dcfm_ros.learn.evaluation.methods import build_method
from dcfm_ros.learn.evaluation.report import Accuracy
from dcfm_ros.learn.evaluation.scene import Scene
from dcfm_ros.learn.evaluation.video import Video
from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix, VideoConsistency


def evaluate(
    engine: Engine,
    videos: Sequence[Video],
    config: EvaluationConfig,
    *,
    progress: Callable[[int], None] = lambda frames: None,
) -> dict[MethodSpec, Accuracy]:
    """Measures every row of `config.specs()` on the labelled frames of the videos.

    `progress` is called with the number of frames done since its last call. Videos of one frame only tell
    about per-frame segmentation: leave the other key intervals out for them.
    """
    config = config.for_model(engine.card)
    tallies = {
        spec: [_Tally(len(engine.card.classes)) for _ in config.offsets_of(spec)] for spec in config.specs()
    }
    for video in videos:
        _evaluate_video(engine, video, config, tallies, progress)
    if not any(run.matrix.pixels for runs in tallies.values() for run in runs):
        raise DcfmError("no pixel of these frames has a label; there is nothing to measure against")
    return {spec: _accuracy(spec, runs) for spec, runs in tallies.items()}


def network_size(engine: Engine, config: EvaluationConfig) -> tuple[int, int]:
    """(width, height) of the network's input."""
    return config.input_size if all(config.input_size) else engine.card.input_size


def _evaluate_video(
    engine: Engine,
    video: Video,
    config: EvaluationConfig,
    tallies: dict[MethodSpec, list[_Tally]],
    progress: Callable[[int], None],
) -> None:
    scene = Scene(engine, video, network_size(engine, config), config.reach)
    runs = [
        (build_method(spec, offset, scene), tally)
        for spec, offset_tallies in tallies.items()
        for offset, tally in zip(config.offsets_of(spec), offset_tallies, strict=True)
    ]
    for index in range(len(video)):
        scene.at(index)
        for method, tally in runs:
            mask, key_frame = method.step(scene)
            tally.add(scene, mask, key_frame)
        progress(1)
    for _, tally in runs:
        tally.next_video()


class _Tally:
    """What one method reached with one offset, over all videos."""

    def __init__(self, num_classes: int) -> None:
        self.matrix = ConfusionMatrix.empty(num_classes)
        self.consistency = VideoConsistency()
        self.frames = self.key_frames = 0

    def add(self, scene: Scene, mask: Mask, key_frame: bool) -> None:
        self.frames += 1
        self.key_frames += key_frame
        if scene.frame.label is None:
            # Consistency is about consecutive frames.
            self.consistency.next_video()
            return
        self.matrix += scene.score(mask, self.matrix.num_classes)
        self.consistency.add(mask, scene.frame.label)

    def next_video(self) -> None:
        self.consistency.next_video()


def _accuracy(spec: MethodSpec, runs: list[_Tally]) -> Accuracy:
    matrices = [run.matrix for run in runs]
    mean_ious = [matrix.mean_iou for matrix in matrices]
    vc8, vc16 = (_mean([run.consistency.value(window) for run in runs]) for window in CONSISTENCY_WINDOWS)
    return Accuracy(
        method=spec.method,
        key_interval=spec.key_interval,
        trigger=spec.trigger,
        offsets=len(runs),
        key_share=sum(run.key_frames for run in runs) / sum(run.frames for run in runs),
        mean_iou=fmean(mean_ious),
        mean_iou_min=min(mean_ious),
        mean_iou_max=max(mean_ious),
        weighted_iou=fmean(matrix.weighted_iou for matrix in matrices),
        mean_accuracy=fmean(matrix.mean_accuracy for matrix in matrices),
        pixel_accuracy=fmean(matrix.pixel_accuracy for matrix in matrices),
        per_class_iou=tuple(map(_mean, zip(*(matrix.per_class_iou for matrix in matrices), strict=True))),
        vc8=vc8,
        vc16=vc16,
    )


def _mean(values: Sequence[float]) -> float | None:
    """None where one of them has no value."""
    mean = fmean(values)
    return None if math.isnan(mean) else mean
