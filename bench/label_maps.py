"""Label maps: from logits at low resolution to labels at full size, against torch's interpolate and arg-max."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from parts import LabelMapRow

from dcfm_lab.bench.frames import FIRST
from dcfm_lab.measure.rounds import Laps, interleave, totals
from dcfm_lab.measure.spread import ratio, spread
from dcfm_ros.arrays import Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.label_map.label_map import label_map
from dcfm_ros.stream.segmentation import Stopwatch
from dcfm_ros.street import SyntheticDrive

Logits = NDArray[np.float32]

CASES: tuple[tuple[str, int, Size, Size], ...] = (
    ("street", 19, (256, 128), (1280, 720)),
    ("street", 11, (120, 90), (480, 360)),
    ("street", 124, (214, 120), (853, 480)),
    ("noise", 19, (256, 128), (1280, 720)),
)
"""Kind of logits, classes, (width, height) of the logits and of the labels. The first is the one with a goal."""


def measure_label_maps(*, seconds: float) -> tuple[LabelMapRow, ...]:
    """All of CASES, `seconds` each."""
    return tuple(_measure(*case, seconds=seconds) for case in CASES)


def _measure(kind: str, classes: int, low: Size, size: Size, *, seconds: float) -> LabelMapRow:
    logits = torch.from_numpy(street_logits(classes, low) if kind == "street" else noise(classes, low))
    expected, found = by_torch(logits, size), label_map(logits, size)[0]
    laps = interleave(
        {"torch": _timed(lambda: by_torch(logits, size)), "ours": _timed(lambda: label_map(logits, size))},
        seconds=seconds,
        min_rounds=10,
        max_rounds=200,
    )
    slow, fast = totals(laps["torch"]), totals(laps["ours"])
    return LabelMapRow(
        kind,
        classes,
        low,
        size,
        spread(slow),
        spread(fast),
        ratio(slow, fast),
        float(np.mean(expected == found)),
    )


@torch.inference_mode()
def by_torch(logits: torch.Tensor, size: Size) -> Mask:
    """The labels as everybody makes them. logits: C×h×w."""
    full = F.interpolate(logits[None], (size[1], size[0]), mode="bilinear", align_corners=False)
    return full.argmax(1)[0].to(torch.uint8).numpy()


def street_logits(classes: int, low: Size) -> Logits:
    """Logits of a street as a trained network gives them: regions with soft borders and unsure spots.

    The drive's true labels, blurred, and smooth noise on top; classes that a street lacks stay behind.
    """
    labels = SyntheticDrive(0, low)[FIRST].label
    rng = np.random.default_rng(0)
    logits = np.empty((classes, low[1], low[0]), np.float32)
    for c in range(classes):
        region = cv2.GaussianBlur((labels == c).astype(np.float32), (0, 0), 1.0)
        grid = rng.standard_normal((low[1] // 8, low[0] // 8)).astype(np.float32)
        logits[c] = 8 * region + cv2.resize(grid, low, interpolation=cv2.INTER_CUBIC)
    return logits


def noise(classes: int, low: Size) -> Logits:
    """Independent normal numbers: no network gives such logits; every cell is contested by many classes."""
    return np.random.default_rng(0).standard_normal((classes, low[1], low[0])).astype(np.float32)


def _timed(work: Callable[[], object]) -> Callable[[int], Laps]:
    def run(number: int) -> Laps:
        watch = Stopwatch()
        work()
        return {"total": watch.total()}

    return run
