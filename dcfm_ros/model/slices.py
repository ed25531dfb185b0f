"""The common branch cut at block boundaries, so that it can be computed a little at a time."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TypeVar, cast

from torch import Tensor, nn

from dcfm_ros.model.backbones import MixTransformer, MobileNetV2, ResNet
from dcfm_ros.model.backbones.mit import Stage
from dcfm_ros.model.backbones.mobilenetv2 import CUTS, STRIDE8, STRIDE16
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.heads import LightHead, SegFormerHead, unit

T = TypeVar("T")
Blocks = Generator[None, None, T]
"""Computes one block at each `next`; its return value is the result."""


def common_blocks(model: DCFM, independent: Tensor) -> Blocks[Tensor]:
    """`prepare_common(encode_common(None, independent))`, the same operations one block after the other.

    independent: float N×C×h×w. Returns the cached common half of the fusion, float N×C×h×w. Inference only.
    """
    features = yield from _deep_blocks(model.backbone, independent)
    yield
    deep = yield from _head_blocks(model.head, features)
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


def _deep_blocks(backbone: nn.Module, independent: Tensor) -> Blocks[tuple[Tensor, ...]]:
    """`encode_deep`, block by block."""
    if isinstance(backbone, MixTransformer):
        return (yield from _transformer_blocks(backbone, independent))
    if isinstance(backbone, ResNet):
        x = yield from _chain(backbone.layer2, independent)
        yield
        x = yield from _chain(backbone.layer3, x)
        yield
        return ((yield from _chain(backbone.layer4, x)),)
    assert isinstance(backbone, MobileNetV2)
    fine, *coarser = backbone.maps(independent)
    if coarser:
        stride8 = coarser[0]
    else:
        stride8 = yield from _chain(backbone.features[CUTS[0] : STRIDE8], fine)
        yield
    layers = backbone.features[backbone.layers_done(at_least=STRIDE8) : STRIDE16]
    stride16 = yield from _chain(layers, coarser[-1] if coarser else stride8)
    yield
    stride32 = yield from _chain(backbone.features[STRIDE16:], stride16)
    return fine, stride8, stride16, stride32


def _transformer_blocks(backbone: MixTransformer, independent: Tensor) -> Blocks[tuple[Tensor, ...]]:
    first, *later = (cast(Stage, stage) for stage in backbone.stages)
    x = independent
    if backbone.independent_feature != "stage":
        x = yield from _rest(first, x, done=int(backbone.independent_feature == "first_block"))
    features = [x]
    for stage in later:
        yield
        x = stage.embed(x)
        yield
        x = yield from _rest(stage, x, done=0)
        features.append(x)
    return tuple(features)


def _rest(stage: Stage, x: Tensor, *, done: int) -> Blocks[Tensor]:
    """A stage's blocks after the first `done`, and its norm."""
    x = yield from _chain(stage.blocks[done:], x)
    return stage.finish(x, done=len(stage.blocks))


def _head_blocks(head: nn.Module, features: tuple[Tensor, ...]) -> Blocks[Tensor]:
    """The deep head, scale by scale."""
    total = None
    if isinstance(head, LightHead):
        for i in range(len(head.refines) - 1, -1, -1):
            total = head.refine(i, features, total)
            yield
        return head.finish(features, total)
    if not isinstance(head, SegFormerHead):
        return head(features)
    for part in head.parts(features):
        total = part if total is None else total + part
        yield
    return head.finish(total)


def _chain(layers: nn.Module, x: Tensor) -> Blocks[Tensor]:
    """One layer after the other."""
    for i, layer in enumerate(layers.children()):
        if i:
            yield
        x = layer(x)
    return x
