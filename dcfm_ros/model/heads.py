"""Deep heads: what turns the backbone's deep features into the common feature's channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbones import FeatureInfo
from dcfm_ros.model.config import ModelConfig

PYRAMID_BINS = (1, 2, 3, 6)
LEAST_LENGTH = 1e-4
"""Shorter features are not brought to unit length. The published 1e-12 is 0 in half precision, and 0 / 0 no number."""


def build_head(config: ModelConfig, deep: tuple[FeatureInfo, ...]) -> nn.Module:
    """The deep head that belongs to the backbone; it maps a tuple of N×C×h×w maps to one N×deep_channels×h×w map."""
    if config.backbone.startswith("mit"):
        return SegFormerHead(deep, config.deep_channels)
    if config.backbone.startswith("resnet"):
        return PyramidPooling(deep[0].channels, config.deep_channels)
    return LightHead(deep, config.deep_channels)


class SegFormerHead(nn.Module):
    """SegFormer's MLP head up to its fused feature (arXiv 2105.15203, section 3.2), at stride 4.

    As published, each scale is projected, upsampled to stride 4, concatenated and fused by a 1×1 conv. All of that is
    linear and interpolation weights sum to one, so here each scale is projected *and fused* at its own resolution,
    then upsampled and summed: the same numbers for a fraction of the work.
    """

    def __init__(self, deep: tuple[FeatureInfo, ...], channels: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList([nn.Linear(info.channels, channels) for info in deep])
        self.fuse = nn.Conv2d(len(deep) * channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        total: Tensor | None = None
        for part in self.parts(features):
            total = part if total is None else total + part
        return self.finish(total)

    def parts(self, features: tuple[Tensor, ...]) -> Iterator[Tensor]:
        """What each scale adds to the sum, N×channels×h×w at stride 4, the finest first."""
        for feature, module, fuse in zip(features, self.projections, self.slices(), strict=True):
            projection = cast(nn.Linear, module)
            weight = (fuse @ projection.weight)[:, :, None, None]
            yield resize(F.conv2d(feature, weight, fuse @ projection.bias), features[0])

    def slices(self) -> tuple[Tensor, ...]:
        """Each scale's part of the fusing conv, channels×channels, the finest first."""
        # The published concatenation runs from the coarsest scale to the finest.
        return self.fuse.weight[:, :, 0, 0].chunk(len(self.projections), dim=1)[::-1]

    def finish(self, total: Tensor | None) -> Tensor:
        """The fused feature from the sum of all parts."""
        return F.relu(self.norm(total))


class PyramidPooling(nn.Module):
    """PSPNet's pyramid pooling (arXiv 1612.01105, section 3.2): the feature beside four pooled contexts of it."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        width = (out_channels - channels) // len(PYRAMID_BINS)
        self.convs = nn.ModuleList([nn.Conv2d(channels, width, 1, bias=False) for _ in PYRAMID_BINS])
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for _ in PYRAMID_BINS])

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        (x,) = features
        parts = [x]
        for bins, conv, norm in zip(PYRAMID_BINS, self.convs, self.norms, strict=True):
            pooled = F.relu(norm(conv(F.adaptive_avg_pool2d(x, bins))))
            parts.append(F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=True))
        return torch.cat(parts, dim=1)


class LightHead(nn.Module):
    """A top-down pyramid for small backbones: the coarsest scale, gated by global context, refined on the way up.

    Depth-wise separable 3×3 convs at strides 32, 16 and 8; at stride 4 only 1×1 convs, each applied before its
    upsampling.
    """

    def __init__(self, deep: tuple[FeatureInfo, ...], channels: int) -> None:
        super().__init__()
        width = 128
        self.gate = nn.Conv2d(deep[-1].channels, width, 1)
        self.laterals = nn.ModuleList([nn.Conv2d(info.channels, width, 1) for info in deep[1:]])
        self.refines = nn.ModuleList([separable(width) for _ in deep[1:]])
        self.coarse = nn.Conv2d(width, channels, 1, bias=False)
        self.fine = nn.Conv2d(deep[0].channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        out: Tensor | None = None
        for i in range(len(self.refines) - 1, -1, -1):
            out = self.refine(i, features, out)
        return self.finish(features, out)

    def refine(self, i: int, features: tuple[Tensor, ...], above: Tensor | None) -> Tensor:
        """The pyramid at its scale `i`, N×128×h×w, from what was refined at the scale above (None at the coarsest)."""
        coarser = features[1:]
        lateral = self.laterals[i](coarser[i])
        if above is None:
            return self.refines[i](lateral * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(coarser[i], 1))))
        return self.refines[i](resize(above, coarser[i]) + lateral)

    def finish(self, features: tuple[Tensor, ...], refined: Tensor | None) -> Tensor:
        """The head's output at stride 4 from the pyramid at its finest scale."""
        fine = features[0]
        return F.relu(self.norm(resize(self.coarse(refined), fine) + self.fine(fine)))


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
    return F.normalize(x, dim=channels, eps=LEAST_LENGTH)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear resize of N×C×h×w to the height and width of `like`; `x` itself where they are the same."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
