"""Everything about one model on one dataset, as the report holds it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.learn.datasets import FrameDataset
from dcfm_ros.learn.evaluation.config import BIDIRECTIONAL, CAUSAL, PUBLISHED, EvaluationConfig, MethodSpec
from dcfm_ros.learn.evaluation.cost import ModelCost, model_cost
from dcfm_ros.learn.evaluation.report import Accuracy, DataFacts, Evaluation, ModelFacts, Row
from dcfm_ros.learn.evaluation.run import evaluate, network_size
from dcfm_ros.learn.evaluation.speed import Speed, measure_speed
from dcfm_ros.learn.evaluation.video import Video, videos_of
from dcfm_ros.measure.table import counted
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.dcfm import DCFM

PER_FRAME = MethodSpec(CAUSAL, 1)


@dataclass(frozen=True)
class Footage:
    """Videos of a dataset to evaluate on, and what had to be left out, in words ("" for nothing)."""

    name: str
    split: str
    classes: tuple[str, ...]
    videos: list[Video]
    note: str

    @property
    def is_video(self) -> bool:
        return any(len(video) > 1 for video in self.videos)

    @property
    def frames(self) -> int:
        return sum(len(video) for video in self.videos)


def open_footage(dataset: FrameDataset, name: str, split: str, reach: int) -> Footage:
    """A dataset's videos, or its frames one by one where most of them are not part of any video."""
    everything = videos_of(dataset, reach)
    moving = [video for video in everything if len(video) > 1]
    labelled = sum(video.labelled for video in moving)
    if 2 * labelled < len(dataset):
        note = (
            f"{name} {split} is no video: its labelled frames lie too far apart for a common feature to be "
            f"reused. Each is segmented on its own (K = 1); other key intervals, triggers and baselines are left out."
        )
        return Footage(name, split, dataset.classes.names, everything, note)
    alone = len(dataset) - labelled
    note = (
        f"{name} {split}: {counted(alone, 'labelled frame')} outside of any video, left out." if alone else ""
    )
    return Footage(name, split, dataset.classes.names, moving, note)


def measure(
    weights: Path,
    footage: Footage,
    config: EvaluationConfig,
    engine_config: EngineConfig,
    progress: Callable[[int], None] = lambda frames: None,
) -> Evaluation:
    """Accuracy, cost and speed of the model in `weights`; DcfmError where it does not fit the dataset."""
    begin = time.perf_counter()
    model = load_model(weights)
    if model.card.classes != footage.classes:
        raise DcfmError(
            f"'{weights}' knows {_listed(model.card.classes)}; {footage.name} has {_listed(footage.classes)}; "
            f"they must be the same"
        )
    if not footage.is_video:
        config = config.for_stills()
    config = config.for_model(model.card)
    engine = create_engine(model, engine_config)
    size = network_size(engine, config)
    cost = model_cost(model, size)
    speeds = measure_speed(engine, footage.videos[0], config.specs(), size, config.speed_frames)
    accuracies = evaluate(engine, footage.videos, config, progress=progress)
    return Evaluation(
        model=_model_facts(weights, model, engine, cost, size, config.align),
        data=_data_facts(footage),
        classes=model.card.classes,
        rows=tuple(
            _row(spec, accuracy, speeds[spec], speeds[PER_FRAME].key_ms, cost)
            for spec, accuracy in accuracies.items()
        ),
        seconds=round(time.perf_counter() - begin, 1),
    )


def _listed(classes: tuple[str, ...]) -> str:
    return f"{len(classes)} classes ({', '.join(classes[:4])}, ...)"


def _row(spec: MethodSpec, accuracy: Accuracy, speed: Speed, per_frame_ms: float, cost: ModelCost) -> Row:
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
    )


def _macs_other(spec: MethodSpec, cost: ModelCost) -> int:
    """Of a frame that is not a key frame; the baselines' need none (and optical flow is not made of them)."""
    if spec.method in (CAUSAL, PUBLISHED):
        return cost.macs_other
    return cost.macs_other + cost.macs_fusion if spec.method == BIDIRECTIONAL else 0


def _model_facts(
    weights: Path, model: DCFM, engine: Engine, cost: ModelCost, size: tuple[int, int], align: str
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
