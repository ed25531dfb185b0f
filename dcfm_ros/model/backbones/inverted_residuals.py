"""Backbones that are a chain of inverted residuals (arXiv 1801.04381, section 3): MobileNetV2 and its descendants."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbones.base import Backbone, FeatureInfo, Layer

STRIDES = (4, 8, 16, 32)
ROW_STRIDES = (1, 2, 2, 2, 1, 2, 1)
STEM = 32
"""Channels of the first layer, a 3×3 conv of stride 2."""
FEATURES = ("stride4+8+16", "stride4+8", "stride4")
"""Independent features, named after the strides of their maps."""


class Row(NamedTuple):
    """Blocks of one width; the first of them has the stride."""

    expansion: int
    kernel: int
    width: int
    repeats: int
    stride: int


def table(kernels: Sequence[int], widths: Sequence[int], repeats: Sequence[int]) -> list[Row]:
    """The seven rows of a network in MobileNetV2's form: all blocks but those of the first expand sixfold."""
    return [Row(*row) for row in zip((1, *[6] * 6), kernels, widths, repeats, ROW_STRIDES, strict=True)]


class InvertedResiduals(Backbone):
    """A stem and the blocks of a table's rows; deep features at strides 4, 8, 16 and 32, each after the last row there.

    An independent feature has one to three maps, at strides 4, 8 and 16, each after the first row of its stride. The
    coarser ones are put beside the finest with each of their pixels repeated: every further map costs a few more layers
    per frame and sees further, and repetition, unlike interpolation, lets the deep part take the original back out
    exactly.
    """

    def __init__(self, rows: Sequence[Row], independent_feature: str, *, eps: float = 1e-5) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn_relu(3, STEM, 3, stride=2, eps=eps)]
        channels = STEM
        for row in rows:
            for i in range(row.repeats):
                layers.append(InvertedResidual(channels, row, row.stride if i == 0 else 1, eps))
                channels = row.width
        self.features = nn.Sequential(*layers)
        strides = list(accumulate((row.stride for row in rows), lambda a, b: a * b, initial=2))[1:]
        layers_done = list(accumulate((row.repeats for row in rows), initial=1))[1:]
        first = [strides.index(stride) for stride in STRIDES]
        last = [len(strides) - 1 - strides[::-1].index(stride) for stride in STRIDES]
        maps = independent_feature.count("+") + 1
        self.cuts = [layers_done[i] for i in first[:maps]]
        """How many layers there are up to each map of the independent feature."""
        self.ends = [layers_done[i] for i in last]
        """And up to each deep feature."""
        self.widths = [rows[i].width for i in first[:maps]]
        self.independent = FeatureInfo(sum(self.widths), STRIDES[0])
        self.deep = tuple(FeatureInfo(rows[i].width, stride) for i, stride in zip(last, STRIDES, strict=True))

    def encode_shallow(self, x: Tensor) -> Tensor:
        fine = x = self.features[: self.cuts[0]](x)
        maps = [fine]
        for i, (begin, end) in enumerate(pairwise(self.cuts), 1):
            x = self.features[begin:end](x)
            repeated = F.interpolate(x, scale_factor=float(2**i), mode="nearest")
            maps.append(repeated[:, :, : fine.shape[2], : fine.shape[3]])
        return torch.cat(maps, dim=1)

    def resume(self, independent: Tensor) -> tuple[list[Tensor], Tensor]:
        parts = independent.split(self.widths, dim=1)
        maps = [part[:, :, :: 2**i, :: 2**i] for i, part in enumerate(parts)]
        return [x for x, cut in zip(maps, self.cuts, strict=True) if cut in self.ends], maps[-1]

    def deep_layers(self) -> list[list[Layer]]:
        done = self.cuts[-1]
        return [[self.features[a:b]] for a, b in pairwise([done, *(end for end in self.ends if end > done)])]


class InvertedResidual(nn.Module):
    """1×1 conv to more channels, depth-wise conv, 1×1 conv; plus its input where both have the same shape."""

    def __init__(self, channels: int, row: Row, stride: int, eps: float) -> None:
        super().__init__()
        hidden = channels * row.expansion
        layers: list[nn.Module] = [conv_bn_relu(channels, hidden, 1, eps=eps)] if row.expansion > 1 else []
        layers += [
            conv_bn_relu(hidden, hidden, row.kernel, stride=stride, groups=hidden, eps=eps),
            nn.Conv2d(hidden, row.width, 1, bias=False),
            nn.BatchNorm2d(row.width, eps),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == row.width

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def conv_bn_relu(
    channels: int, width: int, kernel: int, *, stride: int = 1, groups: int = 1, eps: float = 1e-5
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(width, eps),
        nn.ReLU6(),
    )
