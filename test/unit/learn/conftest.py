"""A small made-up evaluation, and the way to the scripts that make pages of such."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trees

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench"))

from dcfm_lab.evaluation.config import BIDIRECTIONAL, CAUSAL, COPIED, WARPED
from dcfm_lab.evaluation.report import DataFacts, Evaluation, ModelFacts, Report, Row, new_report

PER_FRAME = Row(
    method=CAUSAL,
    key_interval=1,
    trigger="",
    offsets=1,
    key_share=1.0,
    mean_iou=0.652,
    mean_iou_min=0.652,
    mean_iou_max=0.652,
    weighted_iou=0.81,
    mean_accuracy=0.74,
    pixel_accuracy=0.9,
    per_class_iou=(0.9, None, 0.404),
    vc8=0.931,
    vc16=None,
    macs=2.5e9,
    key_ms=40.0,
    other_ms=None,
    mean_ms=40.0,
    speed_up=1.0,
)


def reuse(method: str, interval: int, mean_iou: float, **changes) -> Row:
    row = replace(
        PER_FRAME,
        method=method,
        key_interval=interval,
        offsets=interval,
        key_share=1 / interval,
        mean_iou=mean_iou,
        mean_iou_min=mean_iou - 0.01,
        mean_iou_max=mean_iou + 0.01,
        other_ms=10.0,
        mean_ms=10 + 30 / interval,
        speed_up=40 / (10 + 30 / interval),
    )
    return replace(row, **changes)


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(
        model=ModelFacts(
            name="tiny",
            weights="tiny.safetensors",
            sha256="0123456789abcdef" * 4,
            backbone="mobilenetv2",
            licence="CC0",
            parameters=1_230_000,
            macs_key=2_500_000_000,
            macs_other=500_000_000,
            input_size=(480, 360),
            engine="torch",
            device="cpu",
            precision="fp32",
        ),
        data=DataFacts("camvid", "val", videos=1, frames=101, labelled=101, fps=15.0, size=(480, 360)),
        classes=("sky", "building", "pole"),
        rows=(
            PER_FRAME,
            reuse(CAUSAL, 5, 0.631),
            reuse(CAUSAL, 10, 0.6),
            replace(reuse(CAUSAL, 5, 0.64), key_interval=0, trigger="motion:0.1", key_share=0.14),
            reuse(BIDIRECTIONAL, 5, 0.641),
            reuse(COPIED, 5, 0.42),
            reuse(WARPED, 5, 0.58),
        ),
        seconds=12.5,
    )


@pytest.fixture
def report(evaluation) -> Report:
    return new_report([evaluation], "dcfm evaluate --data camvid:camvid")


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    """CamVid's val split in small: six frames, 15 Hz."""
    root = tmp_path_factory.mktemp("data") / "camvid"
    rng = np.random.default_rng(0)
    for number in range(0, 12, 2):
        folder, name = root / "val" / "0016E5", f"0016E5_{number:05d}"
        trees.write(folder / "image" / f"{name}.png", rng.integers(0, 256, (48, 64, 3)).astype(np.uint8))
        trees.write(folder / "label" / f"{name}.png", rng.integers(0, 12, (48, 64)).astype(np.uint8))
    return root
