"""What every backbone offers, and a backbone's description of its own features."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class FeatureInfo:
    """Channels of a feature map and its stride in input pixels."""

    channels: int
    stride: int


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
    def encode_deep(self, independent: Tensor) -> tuple[Tensor, ...]:
        """Goes on from `encode_shallow`'s result through the rest of the backbone; nothing is computed twice."""
