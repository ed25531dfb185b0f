"""Dilated ResNet-18/50/101 as PSPNet uses them (arXiv 1612.01105): stride 8, deep stem for 50 and 101."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcfm_ros.model.backbones.base import Backbone, BackboneSpec, FeatureInfo, Layer, Layout, Tensors
from dcfm_ros.model.fold import Foldable
from dcfm_ros.model.heads import Head, PyramidPooling

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
WIDTHS = (64, 128, 256, 512)
STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)


class ResNet(Backbone):
    """Stem and four layers; the independent feature is the output of layer 1 (stride 4)."""

    def __init__(self, name: str, stem: str) -> None:
        super().__init__()
        block: type[BasicBlock] | type[Bottleneck] = BasicBlock if name == "resnet18" else Bottleneck
        self.stem = plain_stem() if stem == "plain" else deep_stem()
        channels = 64 if stem == "plain" else 128
        layers = []
        for depth, width, stride, dilation in zip(DEPTHS[name], WIDTHS, STRIDES, DILATIONS, strict=True):
            blocks: list[nn.Module] = []
            for i in range(depth):
                blocks.append(block(channels, width, stride if i == 0 else 1, dilation))
                channels = width * block.expansion
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.independent = FeatureInfo(WIDTHS[0] * block.expansion, 4)
        self.deep = (FeatureInfo(channels, 8),)

    def encode_shallow(self, x: Tensor) -> Tensor:
        return self.layer1(self.stem(x))

    def resume(self, independent: Tensor) -> tuple[list[Tensor], Tensor]:
        return [], independent

    def deep_layers(self) -> list[list[Layer]]:
        return [[self.layer2, self.layer3, self.layer4]]


class Block(Foldable):
    """Convs `conv1`, `conv2` ..., each followed by a batch norm `bn1`, `bn2` ..., beside a shortcut."""

    expansion: int

    def __init__(self, channels: int, stride: int, convs: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        self.convs = len(convs)
        for i, conv in enumerate(convs, 1):
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", nn.BatchNorm2d(conv.out_channels))
        self.downsample = shortcut(channels, convs[-1].out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i in range(1, self.convs + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            out = F.relu(out if i < self.convs else out + self.downsample(x))
        return out

    def folded(self) -> nn.Module:
        for i in range(1, self.convs + 1):
            conv, norm = getattr(self, f"conv{i}"), getattr(self, f"bn{i}")
            setattr(self, f"conv{i}", fuse_conv_bn_eval(conv, norm))
            setattr(self, f"bn{i}", nn.Identity())
        return self


class BasicBlock(Block):
    """As in the published networks, only the second conv is dilated."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, dilation: int) -> None:
        first = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        second = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        super().__init__(channels, stride, (first, second))


class Bottleneck(Block):
    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, dilation: int) -> None:
        reduce = nn.Conv2d(channels, width, 1, bias=False)
        middle = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        expand = nn.Conv2d(width, 4 * width, 1, bias=False)
        super().__init__(channels, stride, (reduce, middle, expand))


def shortcut(channels: int, width: int, stride: int) -> nn.Module:
    if channels == width and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))


def plain_stem() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    )


def deep_stem() -> nn.Sequential:
    layers: list[nn.Module] = []
    for previous, width, stride in ((3, 64, 2), (64, 64, 1), (64, 128, 1)):
        layers += [nn.Conv2d(previous, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(3, 2, 1))


def from_resnet(tensors: Tensors) -> Tensors:
    """torchvision's stem `conv1, bn1`, and the deep stem `conv1, bn1, conv2, bn2, conv3, bn3`."""
    result = {}
    for name, value in tensors.items():
        stem = re.match(r"^(conv|bn)([123])\.(.*)$", name)
        if stem:
            name = f"stem.{3 * (int(stem[2]) - 1) + (stem[1] == 'bn')}.{stem[3]}"
        result[name] = value
    return result


def _head(deep: tuple[FeatureInfo, ...], channels: int) -> Head:
    return PyramidPooling(deep[0].channels, channels)


LAYOUTS = (Layout("torchvision's ResNet", "layer1.", r"fc\.", from_resnet),)
BACKBONES = {
    name: BackboneSpec(
        features=("layer1",),
        deep_channels=2 * WIDTHS[-1] * (1 if name == "resnet18" else 4),
        build=lambda config: ResNet(config.backbone, config.stem),
        head=_head,
        layouts=LAYOUTS,
        stem="plain" if name == "resnet18" else "deep",
    )
    for name in DEPTHS
}
