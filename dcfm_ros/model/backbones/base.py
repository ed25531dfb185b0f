"""What every backbone offers, and what the rest of the package has to know about it."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from dcfm_ros.errors import DcfmError
from dcfm_ros.model.normalisation import IMAGENET, Normalisation

if TYPE_CHECKING:
    from dcfm_ros.model.config import ModelConfig
    from dcfm_ros.model.heads import Head

Layer = Callable[[Tensor], Tensor]


class FeatureInfo(NamedTuple):
    """Channels of a feature map and its stride in input pixels."""

    channels: int
    stride: int


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone as the registry lists it."""

    features: tuple[str, ...]  # the independent ones it offers; the first is the default
    deep_channels: int  # the default for the channels of the deep head's output
    build: Callable[[ModelConfig], Backbone]  # randomly initialised
    head: Callable[[tuple[FeatureInfo, ...], int], Head]  # of the deep features; channels of its output
    layouts: tuple[Layout, ...]  # how ImageNet weights files of it name their tensors
    normalisation: Normalisation = IMAGENET  # of the images that such files were trained with
    stem: str = "plain"  # the default of `ModelConfig.stem`


class Backbone(nn.Module):
    """An image encoder cut in two: a shallow part for every frame and a deep part for key frames.

    `independent` describes what `encode_shallow` returns, `deep` what `encode_deep` returns, one entry per map.
    """

    independent: FeatureInfo
    deep: tuple[FeatureInfo, ...]

    @abstractmethod
    def encode_shallow(self, x: Tensor) -> Tensor:
        """Normalised image, float N×3×H×W -> the independent feature, float N×C×h×w."""

    @abstractmethod
    def resume(self, independent: Tensor) -> tuple[list[Tensor], Tensor]:
        """The deep features that an independent feature holds already, and the map from which `deep_layers` go on."""

    @abstractmethod
    def deep_layers(self) -> list[list[Layer]]:
        """The rest of the backbone, in order. Each inner list ends with a deep feature that `resume` does not return."""

    def encode_deep(self, independent: Tensor) -> tuple[Tensor, ...]:
        """Goes on from `encode_shallow`'s result through the rest of the backbone; nothing is computed twice."""
        features, x = self.resume(independent)
        for layers in self.deep_layers():
            for layer in layers:
                x = layer(x)
            features.append(x)
        return tuple(features)


class Chain(nn.Module):
    """A layer made of several, which are computed one after the other."""

    @abstractmethod
    def layers(self) -> list[Layer]: ...

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers():
            x = layer(x)
        return x


def layers_of(layer: Layer) -> list[Layer]:
    """The layers that a layer is made of, as far as they are computed one after the other."""
    if isinstance(layer, nn.Sequential):
        return list(layer)
    return layer.layers() if isinstance(layer, Chain) else [layer]


Tensors = dict[str, Tensor]
Rules = tuple[tuple[str, Callable[[re.Match[str]], str]], ...]
"""Patterns for the beginning of a name, and what they become; the first that fits counts."""


@dataclass(frozen=True)
class Layout:
    """How an ImageNet weights file names a backbone's tensors."""

    name: str  # for messages: whose layout of what
    marker: str  # a name in such a file starts with it, and none in others
    unused: str  # matches the beginning of names that do not belong to the backbone: classifiers
    translate: Callable[[Tensors], Tensors] = dict  # their names into those of the backbone's state


def rename(tensors: Mapping[str, Tensor], rules: Rules, what: str) -> Tensors:
    """Their names -> ours. Raises DcfmError for a name that fits no rule; what: for the message."""
    return {_renamed(name, rules, what): value for name, value in tensors.items()}


def _renamed(name: str, rules: Rules, what: str) -> str:
    for pattern, target in rules:
        renamed, count = re.subn("^" + pattern, target, name)
        if count:
            return renamed
    raise DcfmError(f"the published {what} holds a tensor '{name}', which no known {what} has")
