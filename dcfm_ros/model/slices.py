"""The common branch cut at block boundaries, so that it can be computed a little at a time."""

from __future__ import annotations

import time
from collections.abc import Generator
from itertools import chain
from typing import TypeVar

from torch import Tensor

from dcfm_ros.model.backbones.base import layers_of
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.heads import unit

T = TypeVar("T")
Blocks = Generator[None, None, T]
"""Computes one block at each `next`; its return value is the result."""


def common_blocks(model: DCFM, independent: Tensor) -> Blocks[Tensor]:
    """`prepare_common(encode_common(None, independent))`, the same operations one block after the other.

    independent: float N×C×h×w. Returns the cached common half of the fusion, float N×C×h×w. Inference only.
    """
    features, x = model.backbone.resume(independent)
    for layers in model.backbone.deep_layers():
        for layer in chain.from_iterable(map(layers_of, layers)):
            x = layer(x)
            yield
        features.append(x)
    deep = None
    for i in range(model.head.steps):
        deep = model.head.step(i, tuple(features), deep)
        yield
    common = unit(model.reduce(deep))
    yield
    return model.prepare_common(common)


def in_pieces(blocks: Blocks[T], pieces: int, milliseconds: list[float]) -> Blocks[T]:
    """`blocks` in about `pieces` parts of about the same duration.

    milliseconds: what each block took at the last run, which is where the cuts are made; empty before the first run,
    which is cut at every block. Brought up to date when the blocks are through.
    """
    total, spent, cuts = sum(milliseconds), 0.0, 1
    measured: list[float] = []
    while True:
        begin = time.perf_counter()
        try:
            next(blocks)
        except StopIteration as end:
            milliseconds[:] = [*measured, 1e3 * (time.perf_counter() - begin)]
            return end.value
        measured.append(1e3 * (time.perf_counter() - begin))
        if len(measured) <= len(milliseconds):
            spent += milliseconds[len(measured) - 1]
        if spent * pieces >= total * cuts:
            cuts += 1
            yield
