"""Everything about one model on one dataset, as the report holds it."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from dcfm_lab.evaluation.config import BIDIRECTIONAL, CAUSAL, PUBLISHED, EvaluationConfig, MethodSpec
from dcfm_lab.evaluation.cost import ModelCost, model_cost
from dcfm_lab.evaluation.in_hand import all_in_hand
from dcfm_lab.evaluation.methods import build_method
from dcfm_lab.evaluation.report import Accuracy, DataFacts, Evaluation, InHand, ModelFacts, Row
from dcfm_lab.evaluation.scene import Scene
from dcfm_lab.evaluation.speed import Speed, measure_speed
from dcfm_lab.evaluation.video import Footage, Video, in_groups_of
from dcfm_ros.arrays import Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.interrupts import Stop, interruptible
from dcfm_ros.measure.metrics import CONSISTENCY_WINDOWS, ConfusionMatrix, VideoConsistency
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.dcfm import DCFM

PER_FRAME = MethodSpec(CAUSAL, 1)

# Labelled frames further apart than this many times the usual have others between them.
_MAX_STEP = 1.5


def measure(
    weights: Path,
    footage: Footage,
    config: EvaluationConfig,
    engine_config: EngineConfig,
    progress: Callable[[int], None] = lambda frames: None,
) -> Evaluation:
    """Accuracy, cost and speed of the model in `weights`; DcfmError where it does not fit the dataset.

    Ctrl-C or SIGTERM while frames are segmented end it with what was measured of those before.
    """
    begin = time.perf_counter()
    model = load_model(weights)
    if not engine_config.classes_file:  # before an engine is built, which may take minutes
        _must_know(footage, model.card.classes, weights)
    if not footage.is_video:
        config = config.for_stills()
    config = config.for_model(model.card)
    engine = create_engine(model, engine_config)
    if footage.classes == model.card.classes:
        footage = in_groups_of(footage, engine.card)
    _must_know(footage, engine.card.classes, weights)
    size = config.input_size
    cost = model_cost(model, size)
    speeds = measure_speed(engine, footage.videos[0], config.specs(), size, config.speed_frames)
    streamed = all_in_hand(engine, footage.videos, config, speeds)
    left = footage.frames

    def count(frames: int) -> None:
        nonlocal left
        left -= frames
        progress(frames)

    with interruptible() as stop:
        accuracies = evaluate(engine, footage.videos, config, progress=count, stop=stop)
    return Evaluation(
        model=_model_facts(weights, model, engine, cost, size, config.align),
        data=_data_facts(footage),
        classes=engine.card.classes,
        rows=tuple(
            _row(spec, accuracy, speeds[spec], speeds[PER_FRAME].key_ms, cost, streamed.get(spec, ()))
            for spec, accuracy in accuracies.items()
        ),
        seconds=round(time.perf_counter() - begin, 1),
        left_out=left,
    )


def evaluate(
    engine: Engine,
    videos: Sequence[Video],
    config: EvaluationConfig,
    *,
    progress: Callable[[int], None] = lambda frames: None,
    stop: Stop = lambda: False,
) -> dict[MethodSpec, Accuracy]:
    """Measures every row of `config.specs()` on the labelled frames of the videos.

    `progress` is called with the number of frames done since its last call. Where `stop` says so, the frames until then
    count; KeyboardInterrupt where none of them has a label. Videos of one frame only tell
    about per-frame segmentation: leave the other key intervals out for them.
    """
    config = config.for_model(engine.card)
    tallies = {
        spec: [_Tally(len(engine.card.classes)) for _ in config.offsets_of(spec)] for spec in config.specs()
    }
    for video in videos:
        _evaluate_video(engine, video, config, tallies, progress, stop)
        if stop():
            break
    if not any(run.matrix.pixels for runs in tallies.values() for run in runs):
        if stop():
            raise KeyboardInterrupt
        raise DcfmError("no pixel of these frames has a label; there is nothing to measure against")
    return {spec: _accuracy(spec, runs) for spec, runs in tallies.items()}


def _evaluate_video(
    engine: Engine,
    video: Video,
    config: EvaluationConfig,
    tallies: dict[MethodSpec, list[_Tally]],
    progress: Callable[[int], None],
    stop: Stop,
) -> None:
    scene = Scene(engine, video, config.input_size, config.reach)
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
        if stop():
            break
    for _, tally in runs:
        tally.next_video()


class _Tally:
    """What one method reached with one offset, over all videos."""

    def __init__(self, num_classes: int) -> None:
        self.matrix = ConfusionMatrix.empty(num_classes)
        self.consistency = VideoConsistency()
        self._last_ns = 0
        self.frames = self.key_frames = 0

    def add(self, scene: Scene, mask: Mask, key_frame: bool) -> None:
        self.frames += 1
        self.key_frames += key_frame
        fps = scene.video.fps
        gap = not fps or scene.frame.stamp_ns - self._last_ns > _MAX_STEP * 1e9 / fps
        self._last_ns = scene.frame.stamp_ns
        if gap or scene.frame.label is None:
            # Consistency is about consecutive frames.
            self.consistency.next_video()
        if scene.frame.label is None:
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
        independent_interval=spec.independent_interval,
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


def _must_know(footage: Footage, classes: tuple[str, ...], weights: Path) -> None:
    if classes != footage.classes:
        raise DcfmError(
            f"'{weights}' knows {_listed(classes)}; {footage.name} has {_listed(footage.classes)}; they must be the same"
        )


def _listed(classes: tuple[str, ...]) -> str:
    return f"{len(classes)} classes ({', '.join(classes[:4])}, ...)"


def _row(
    spec: MethodSpec,
    accuracy: Accuracy,
    speed: Speed,
    per_frame_ms: float,
    cost: ModelCost,
    streamed: tuple[InHand, ...],
) -> Row:
    # Of a long run: on a short video the first frame makes an interval's share larger than it is.
    share = 1 / spec.key_interval if spec.key_interval else accuracy.key_share
    mean_ms = speed.mean_ms(share)
    return Row(
        **vars(accuracy),
        macs=share * cost.macs_key + (1 - share) * _macs_other(spec, cost),
        key_ms=speed.key_ms,
        other_ms=speed.other_ms,
        mean_ms=mean_ms,
        speed_up=per_frame_ms / mean_ms,
        in_hand=streamed,
    )


def _macs_other(spec: MethodSpec, cost: ModelCost) -> int:
    """The MACs of a frame that is not a key frame; the baselines' need none (and optical flow is not made of them)."""
    if spec.method in (CAUSAL, PUBLISHED):
        return round(spec.own_share * cost.macs_other)
    return cost.macs_other + cost.macs_fusion if spec.method == BIDIRECTIONAL else 0


def _model_facts(
    weights: Path, model: DCFM, engine: Engine, cost: ModelCost, size: Size, align: str
) -> ModelFacts:
    return ModelFacts(
        name=model.card.name,
        weights=weights.name,
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        backbone=model.config.backbone,
        licence=model.card.licence,
        parameters=cost.parameters,
        macs_key=cost.macs_key,
        macs_other=cost.macs_other,
        input_size=size,
        engine=engine.name,
        device=engine.device,
        precision=engine.precision,
        align=align,
    )


def _data_facts(footage: Footage) -> DataFacts:
    first = footage.videos[0]
    height, width = first[0].rgb.shape[:2]
    return DataFacts(
        name=footage.name,
        split=footage.split,
        videos=len(footage.videos),
        frames=footage.frames,
        labelled=sum(video.labelled for video in footage.videos),
        fps=first.fps if footage.is_video else 0.0,
        size=(width, height),
    )
