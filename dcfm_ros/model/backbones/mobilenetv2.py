"""MobileNetV2 (arXiv 1801.04381, table 2) in torchvision's tensor layout, without its last 1×1 conv."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
STRIDE8, STRIDE16 = 7, 14
"""Number of layers after which the deep features of these strides are complete."""

CUTS = (4, 7, 11)
"""Number of layers after which the first, second and third map of an independent feature are complete."""

MAPS = {"stride4": (24,), "stride4+8": (24, 32), "stride4+8+16": (24, 32, 64)}
"""Channels of the maps, at strides 4, 8 and 16, that an independent feature puts beside each other."""


class MobileNetV2(Backbone):
    """Eighteen layers; features of 24, 32, 96 and 320 channels at strides 4, 8, 16 and 32.

    An independent feature has one to three maps (see MAPS), the coarser ones at stride 4 with each of their pixels
    repeated: every further map costs a few more layers per frame and sees further (19, 59 and 171 pixels), and
    repetition, unlike interpolation, lets the deep part take the original back out exactly.
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
        self.widths = MAPS[independent_feature]
        self.independent = FeatureInfo(sum(self.widths), 4)

    def encode_shallow(self, x: Tensor) -> Tensor:
        fine = x = self.features[: CUTS[0]](x)
        maps = [fine]
        for i in range(1, len(self.widths)):
            x = self.features[CUTS[i - 1] : CUTS[i]](x)
            repeated = F.interpolate(x, scale_factor=float(2**i), mode="nearest")
            maps.append(repeated[:, :, : fine.shape[2], : fine.shape[3]])
        return torch.cat(maps, dim=1)

    def encode_deep(self, independent: Tensor) -> tuple[Tensor, ...]:
        fine, *coarser = self.maps(independent)
        stride8 = coarser[0] if coarser else self.features[CUTS[0] : STRIDE8](fine)
        stride16 = self.features[self.layers_done(at_least=STRIDE8) : STRIDE16](
            coarser[-1] if coarser else stride8
        )
        return fine, stride8, stride16, self.features[STRIDE16:](stride16)

    def maps(self, independent: Tensor) -> list[Tensor]:
        """The maps of an independent feature, each at its own stride."""
        parts = independent.split(self.widths, dim=1)
        return [part[:, :, :: 2**i, :: 2**i] for i, part in enumerate(parts)]

    def layers_done(self, at_least: int = 0) -> int:
        """How many layers the independent feature has been through, or `at_least`."""
        return max(CUTS[len(self.widths) - 1], at_least)


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
