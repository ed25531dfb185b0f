"""MobileNetV2 (arXiv 1801.04381, table 2) in torchvision's tensor layout, without its last 1×1 conv."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcfm_ros.model.backbones.base import Backbone, FeatureInfo

# expansion, channels, repeats, stride
SETTINGS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STRIDE4, STRIDE8, STRIDE16 = 4, 7, 14
"""Number of layers after which the features of each stride are complete."""


class MobileNetV2(Backbone):
    """Eighteen layers; features of 24, 32, 96 and 320 channels at strides 4, 8, 16 and 32.

    The independent feature "stride4" is the first of them. "stride4+8" puts the second one beside it, each of its
    pixels repeated 2×2: three more layers per frame let it see further (59 instead of 19 pixels), and repetition,
    unlike interpolation, lets the deep part take the original back out exactly.
    """

    def __init__(self, independent_feature: str) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn_relu(3, 32, 3, stride=2)]
        channels = 32
        for expansion, width, repeats, stride in SETTINGS:
            for i in range(repeats):
                layers.append(InvertedResidual(channels, width, stride if i == 0 else 1, expansion))
                channels = width
        self.features = nn.Sequential(*layers)
        self.deep = (FeatureInfo(24, 4), FeatureInfo(32, 8), FeatureInfo(96, 16), FeatureInfo(320, 32))
        self.both = independent_feature == "stride4+8"
        self.independent = FeatureInfo(56 if self.both else 24, 4)

    def encode_shallow(self, x: Tensor) -> Tensor:
        fine = self.features[:STRIDE4](x)
        if not self.both:
            return fine
        coarse = self.features[STRIDE4:STRIDE8](fine)
        coarse = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return torch.cat([fine, coarse[:, :, : fine.shape[2], : fine.shape[3]]], dim=1)

    def encode_deep(self, independent: Tensor) -> tuple[Tensor, ...]:
        fine = independent[:, :24]
        if self.both:
            stride8 = independent[:, 24:, ::2, ::2]
        else:
            stride8 = self.features[STRIDE4:STRIDE8](fine)
        stride16 = self.features[STRIDE8:STRIDE16](stride8)
        return fine, stride8, stride16, self.features[STRIDE16:](stride16)


class InvertedResidual(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        layers: list[nn.Module] = [conv_bn_relu(channels, hidden, 1)] if expansion > 1 else []
        layers += [
            conv_bn_relu(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, width, 1, bias=False),
            nn.BatchNorm2d(width),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def conv_bn_relu(
    channels: int, width: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU6(),
    )
