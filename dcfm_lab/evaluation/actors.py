"""The ways to label a video as they are run, frame by frame as the frames come: what is timed, and what a robot gets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from dcfm_lab.evaluation.config import BIDIRECTIONAL, COPIED, METHODS_OF_MASKS, MethodSpec
from dcfm_lab.evaluation.methods import inline_config
from dcfm_lab.evaluation.scene import mask_flow
from dcfm_ros.arrays import Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.measure.flow import warp
from dcfm_ros.stream.preprocess import preprocess
from dcfm_ros.stream.segmenter import StreamSegmenter

KEY, BORROWING, MOVED = "key", "borrowing", "moved"
"""Kinds of frames: one that is computed whole, one that borrows from it, one whose stream only moved the last mask."""

Actor = Callable[[Image, int], tuple[Mask, str]]
"""Labels an image (uint8 H×W×3) with a stamp in one of the ways compared: the mask, uint8 H×W, and the kind of frame."""


def actor(engine: Engine, spec: MethodSpec, network_size: Size, mask_size: Size) -> Actor:
    """A fresh one; sizes are (width, height). Key frames are the first and every `key_interval`-th frame that it sees."""
    if spec.method in METHODS_OF_MASKS:
        return _carried(engine, spec, network_size, mask_size)
    if spec.method == BIDIRECTIONAL:
        return _both_sides(engine, network_size, mask_size)
    stream = StreamSegmenter(engine, inline_config(spec, network_size, mask_size))

    def label(image: Image, stamp_ns: int) -> tuple[Mask, str]:
        done = stream.step(image, stamp_ns)
        return done.mask, KEY if done.key_frame else MOVED if done.moved else BORROWING

    return label


def _carried(engine: Engine, spec: MethodSpec, network_size: Size, mask_size: Size) -> Actor:
    """The last key frame's mask, copied or moved."""
    flow = None if spec.method == COPIED else mask_flow(spec.method, network_size)
    numbers = count()
    last: list[tuple[Mask, Image]] = []

    def label(image: Image, stamp_ns: int) -> tuple[Mask, str]:
        if next(numbers) % spec.key_interval == 0:
            independent = engine.independent(preprocess(image, network_size))
            logits = engine.logits(engine.common(independent), independent)
            mask, kind = engine.label_map(logits, mask_size)[0], KEY
        else:
            (mask, before), kind = last.pop(), BORROWING
            mask = mask if flow is None else warp(mask, flow.back(image, before))
        last[:] = [(mask, image)]
        return mask, kind

    return label


def _both_sides(engine: Engine, network_size: Size, mask_size: Size) -> Actor:
    """A frame between two key frames: one independent feature, two fusions."""
    commons: list[object] = []

    def label(image: Image, stamp_ns: int) -> tuple[Mask, str]:
        independent = engine.independent(preprocess(image, network_size))
        if not commons:
            commons.append(engine.common(independent))
            return engine.label_map(engine.logits(commons[0], independent), mask_size)[0], KEY
        logits = engine.logits(commons[0], independent) + engine.logits(commons[0], independent)
        return engine.label_map(logits, mask_size)[0], BORROWING

    return label
