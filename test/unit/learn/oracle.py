"""An engine that knows the answer: what comes out of an evaluation of it is known beforehand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from dcfm_lab.evaluation.video import Video, VideoFrame
from dcfm_ros.measure.flow import warp
from dcfm_ros.model.config import ModelCard

SIZE = (160, 96)
"""Width and height of the frames, the masks and the network's input."""


class Oracle:
    """A frame tells its number by its first pixel; features are that number, logits are pairs of (key frame, frame).

    Subclasses say what mask that gives. `calls` counts what was asked for.
    """

    name, device, precision, problem = "oracle", "cpu", "fp32", ""

    def __init__(self, truth: list[np.ndarray]) -> None:
        self.truth = truth
        self.card = ModelCard(
            classes=("a", "b", "c"), colors=((1, 1, 1), (2, 2, 2), (3, 3, 3)), input_size=SIZE
        )
        self.calls: Counter[str] = Counter()

    def prepare(self, size: tuple[int, int], pieces: bool = False) -> None:
        pass

    def independent(self, rgb: np.ndarray) -> Any:
        self.calls["independent"] += 1
        return Feature({int(rgb[0, 0, 0])})

    def common(self, independent: Any) -> Any:
        self.calls["common"] += 1
        return Feature(set(independent.frames))

    def align(self, common: Feature, displacement: np.ndarray) -> Feature:
        return replace(common, displacement=displacement)

    def move(self, logits: Any, displacement: np.ndarray) -> Any:
        self.calls["move"] += 1
        return logits

    def logits(self, common: Any, independent: Any) -> Logits:
        self.calls["logits"] += 1
        return Logits(frozenset(common.frames), min(independent.frames))

    def label_map(
        self, logits: Any, size: tuple[int, int], *, confidence: bool = False
    ) -> tuple[np.ndarray, None]:
        self.calls["label_map"] += 1
        assert size == SIZE
        return self.mask(logits.keys, logits.frame).copy(), None

    def mask(self, keys: frozenset[int], frame: int) -> np.ndarray:
        """Perfect, whatever the key frame."""
        return self.truth[frame]


class Stubborn(Oracle):
    """Labels a frame as its key frame is labelled."""

    def mask(self, keys: frozenset[int], frame: int) -> np.ndarray:
        return self.truth[min(keys)]


class Still(Stubborn):
    """Labels a frame as its key frame is labelled, moved along where its feature was."""

    def logits(self, common: Any, independent: Any) -> Logits:
        return replace(super().logits(common, independent), displacement=common.displacement)

    def label_map(
        self, logits: Any, size: tuple[int, int], *, confidence: bool = False
    ) -> tuple[np.ndarray, None]:
        mask, _ = super().label_map(logits, size, confidence=confidence)
        if logits.displacement is None:
            return mask, None
        return warp(mask, cv2.resize(logits.displacement * np.float32(size), size)), None


class Telltale(Oracle):
    """Its masks say which key frames they come from: a bit for each."""

    def mask(self, keys: frozenset[int], frame: int) -> np.ndarray:
        return np.full(SIZE[::-1], sum(1 << key for key in keys), np.uint8)


@dataclass(frozen=True, eq=False)
class Feature:
    frames: set[int]
    displacement: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Logits:
    keys: frozenset[int]
    frame: int
    displacement: np.ndarray | None = None

    def __add__(self, other: Logits) -> Logits:
        assert self.frame == other.frame
        return Logits(self.keys | other.keys, self.frame)


def sliding_truth(frames: int = 7, step: int = 3) -> list[np.ndarray]:
    """Label maps in which everything slides to the right by `step` pixels a frame."""
    width, height = SIZE
    wide = np.zeros((height, width + step * frames), np.uint8)
    wide[:, (np.arange(wide.shape[1]) // 36) % 2 == 1] = 1
    wide[height // 2 :, (np.arange(wide.shape[1]) // 56) % 2 == 1] = 2
    return [wide[:, step * (frames - i) :][:, :width].copy() for i in range(frames)]


def video_of(truth: list[np.ndarray], *, unlabelled: tuple[int, ...] = (), fps: float = 15.0) -> Video:
    """A video with these labels; its pictures are noise that slides along with them."""
    width, height = SIZE
    step = 3
    coarse = np.random.default_rng(0).integers(0, 256, (height // 4, width, 3)).astype(np.uint8)
    noise = cv2.resize(coarse, (4 * width, height), interpolation=cv2.INTER_CUBIC)

    def load(index: int) -> VideoFrame:
        rgb = noise[:, step * (len(truth) - index) :][:, :width].copy()
        rgb[0, 0, 0] = index
        label = None if index in unlabelled else truth[index]
        return VideoFrame(rgb, label, 1_000_000_000 + round(index * 1e9 / fps))

    return Video(fps, len(truth), len(truth) - len(unlabelled), load)
