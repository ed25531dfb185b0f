"""Deep heads: what turns the backbone's deep features into the common feature's channels."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcfm_ros.model.backbones.base import FeatureInfo
from dcfm_ros.model.fold import Foldable, pointwise, scale_and_shift

PYRAMID_BINS = (1, 2, 3, 6)
MIN_LENGTH = 1e-4
"""Shorter features are not brought to unit length. The published 1e-12 is 0 in half precision, and 0 / 0 no number."""


class Head(Foldable):
    """What maps the deep features, N×C×h×w each, to one N×deep_channels×h×w map, in a number of steps."""

    steps = 1

    @abstractmethod
    def step(self, i: int, features: tuple[Tensor, ...], before: Tensor | None) -> Tensor:
        """The result of step `i` from that of the step before (None for the first). The last one's is the head's."""

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        x = self.step(0, features, None)
        for i in range(1, self.steps):
            x = self.step(i, features, x)
        return x

    def folded(self) -> nn.Module:
        return self

    def reduced(self, reduce: nn.Conv2d) -> Head | None:
        """For a folded head: one that computes it and the 1×1 conv `reduce` after it with less work, if there is one."""
        return None


class SegFormerHead(Head):
    """SegFormer's MLP head up to its fused feature (arXiv 2105.15203, section 3.2), at stride 4.

    As published, each scale is projected, upsampled to stride 4, concatenated and fused by a 1×1 conv. All of that is
    linear and interpolation weights sum to one, so here each scale is projected *and fused* at its own resolution,
    then upsampled and summed: the same numbers for a fraction of the work.
    """

    def __init__(self, deep: tuple[FeatureInfo, ...], channels: int) -> None:
        super().__init__()
        self.steps = len(deep) + 1
        self.projections = nn.ModuleList([nn.Linear(info.channels, channels) for info in deep])
        self.fuse = nn.Conv2d(len(deep) * channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def step(self, i: int, features: tuple[Tensor, ...], before: Tensor | None) -> Tensor:
        """Adds what a scale contributes at stride 4, the finest first; then the fused feature from their sum."""
        if i == len(self.projections):
            return F.relu(self.norm(before))
        fuse, projection = self.slices()[i], cast(nn.Linear, self.projections[i])
        weight = (fuse @ projection.weight)[:, :, None, None]
        part = resize(F.conv2d(features[i], weight, fuse @ projection.bias), features[0])
        return part if before is None else before + part

    def slices(self) -> tuple[Tensor, ...]:
        """Each scale's part of the fusing conv, channels×channels, the finest first."""
        # The published concatenation runs from the coarsest scale to the finest.
        return self.fuse.weight[:, :, 0, 0].chunk(len(self.projections), dim=1)[::-1]

    def folded(self) -> nn.Module:
        return FoldedSegFormerHead(self)


class FoldedSegFormerHead(Head):
    """`SegFormerHead` with one 1×1 conv per scale."""

    def __init__(self, head: SegFormerHead) -> None:
        super().__init__()
        self.steps = head.steps
        scale, shift = scale_and_shift(head.norm)
        convs = []
        for fuse, module in zip(head.slices(), head.projections, strict=True):
            projection = cast(nn.Linear, module)
            fused = fuse * scale[:, None]
            convs.append(pointwise(fused @ projection.weight, fused @ projection.bias))
        finest = convs[0]
        assert finest.bias is not None
        finest.bias = nn.Parameter(finest.bias + shift)
        self.convs = nn.ModuleList(convs)

    def step(self, i: int, features: tuple[Tensor, ...], before: Tensor | None) -> Tensor:
        if i == len(self.convs):
            assert before is not None
            return F.relu(before)
        part = resize(self.convs[i](features[i]), features[0])
        return part if before is None else before + part


class PyramidPooling(Head):
    """PSPNet's pyramid pooling (arXiv 1612.01105, section 3.2): the feature beside four pooled contexts of it."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        width = (out_channels - channels) // len(PYRAMID_BINS)
        self.convs = nn.ModuleList([nn.Conv2d(channels, width, 1, bias=False) for _ in PYRAMID_BINS])
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for _ in PYRAMID_BINS])

    def step(self, i: int, features: tuple[Tensor, ...], before: Tensor | None) -> Tensor:
        (x,) = features
        parts = [x]
        for bins, conv, norm in zip(PYRAMID_BINS, self.convs, self.norms, strict=True):
            pooled = F.relu(norm(conv(pool(x, bins))))
            parts.append(F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=True))
        return torch.cat(parts, dim=1)

    def folded(self) -> nn.Module:
        for i in range(len(PYRAMID_BINS)):
            conv, norm = self.convs[i], self.norms[i]
            self.convs[i] = fuse_conv_bn_eval(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm))
            self.norms[i] = nn.Identity()
        return self

    def reduced(self, reduce: nn.Conv2d) -> Head:
        return ReducedPyramid(self, reduce)


class ReducedPyramid(Head):
    """`PyramidPooling` and the linear reduction after it: each context is reduced where it is small, then upsampled."""

    def __init__(self, head: PyramidPooling, reduce: nn.Conv2d) -> None:
        super().__init__()
        self.contexts = head.convs
        widths = [cast(nn.Conv2d, conv).out_channels for conv in head.convs]
        parts = reduce.weight[:, :, 0, 0].split([reduce.in_channels - sum(widths), *widths], dim=1)
        self.reduces = nn.ModuleList([pointwise(part) for part in parts])

    def step(self, i: int, features: tuple[Tensor, ...], before: Tensor | None) -> Tensor:
        (x,) = features
        total = self.reduces[0](x)
        for bins, context, reduce in zip(PYRAMID_BINS, self.contexts, self.reduces[1:], strict=True):
            pooled = reduce(F.relu(context(pool(x, bins))))
            total = total + F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=True)
        return total


def pool(x: Tensor, bins: int) -> Tensor:
    """`F.adaptive_avg_pool2d` as two matrix products, which ONNX can say for any size."""
    height, width = (bin_weights(int(side), bins, x.dtype, x.device) for side in x.shape[2:])
    return height @ x @ width.T


@functools.lru_cache(maxsize=64)
def bin_weights(inputs: int, bins: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """bins×inputs: each row averages its bin. Kept, since a CUDA graph cannot bring them to the GPU."""
    weights = np.zeros((bins, inputs), np.float32)
    for i in range(bins):
        begin, end = i * inputs // bins, -(-(i + 1) * inputs // bins)
        weights[i, begin:end] = 1 / (end - begin)
    with torch.inference_mode(False):  # other callers may want gradients
        return torch.from_numpy(weights).to(device, dtype)


class LightHead(Head):
    """A top-down pyramid for small backbones: the coarsest scale, gated by global context, refined on the way up.

    Depth-wise separable 3×3 convs at strides 32, 16 and 8; at stride 4 only 1×1 convs, each applied before its
    upsampling.
    """

    def __init__(self, deep: tuple[FeatureInfo, ...], channels: int) -> None:
        super().__init__()
        width = 128
        self.steps = len(deep)
        self.gate = nn.Conv2d(deep[-1].channels, width, 1)
        self.laterals = nn.ModuleList([nn.Conv2d(info.channels, width, 1) for info in deep[1:]])
        self.refines = nn.ModuleList([separable(width) for _ in deep[1:]])
        self.coarse = nn.Conv2d(width, channels, 1, bias=False)
        self.fine = nn.Conv2d(deep[0].channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def step(self, i: int, features: tuple[Tensor, ...], before: Tensor | None) -> Tensor:
        """The pyramid, N×128×h×w, refined at one scale after the other, the coarsest first; then the output at stride 4."""
        fine, *coarser = features
        if i == len(coarser):
            return F.relu(self.norm(resize(self.coarse(before), fine) + self.fine(fine)))
        scale = len(coarser) - 1 - i
        lateral = self.laterals[scale](coarser[scale])
        if before is None:
            gate = self.gate(F.adaptive_avg_pool2d(coarser[scale], 1))
            return self.refines[scale](lateral * torch.sigmoid(gate))
        return self.refines[scale](resize(before, coarser[scale]) + lateral)

    def folded(self) -> nn.Module:
        scale, shift = scale_and_shift(self.norm)
        self.coarse = pointwise(self.coarse.weight[:, :, 0, 0] * scale[:, None])
        self.fine = pointwise(self.fine.weight[:, :, 0, 0] * scale[:, None], shift)
        self.norm = nn.Identity()  # type: ignore[assignment]
        return self


def separable(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def unit(x: Tensor, channels: int = 1) -> Tensor:
    """`x` with unit length over its channels, which are that dimension; 0 stays 0."""
    return F.normalize(x, dim=channels, eps=MIN_LENGTH)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear resize of N×C×h×w to the height and width of `like`; `x` itself where they are the same."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
