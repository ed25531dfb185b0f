"""The network: a backbone cut in two, a deep head, a fusion and a classifier (arXiv 2403.02689, section 3)."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.errors import DcfmError
from dcfm_ros.model.backbones.registry import BACKBONES
from dcfm_ros.model.classes import CLASS_SETS, spread_color
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.fold import Foldable, pointwise, scale_and_shift
from dcfm_ros.model.heads import resize, unit

DROPOUT = 0.1


class DCFM(nn.Module):
    """Deep Common Feature Mining. Keeps no features: they are arguments and results.

    A frame's mask comes from two features: the independent one of the frame itself and the common one of a key frame.

        independent = model.encode_independent(x)           # every frame
        common = model.encode_common(x, independent)        # key frames
        logits = model.logits(common, independent)          # every frame, with the last key frame's `common`

    `forward` is not defined, on purpose: which frame gives the common feature has to be said.
    """

    def __init__(self, config: ModelConfig, card: ModelCard) -> None:
        super().__init__()
        if len(card.classes) != config.num_classes:
            raise DcfmError(
                f"the model tells {config.num_classes} classes apart, its card names {len(card.classes)}"
            )
        self.config = config
        self.card = card
        spec = BACKBONES[config.backbone]
        self.backbone = spec.build(config)
        self.head = spec.head(self.backbone.deep, config.deep_channels)
        channels = config.common_channels or config.deep_channels
        self.reduce = (
            nn.Conv2d(config.deep_channels, channels, 1, bias=False)
            if config.common_channels
            else nn.Identity()
        )
        there = self.backbone.independent.channels
        self.independent_channels = config.independent_channels or there
        if self.independent_channels > there:
            raise DcfmError(
                f"independent_channels is {self.independent_channels}; the independent feature "
                f"'{config.independent_feature}' has {there}"
            )
        self.fusion = Fusion(channels, self.independent_channels)
        self.classifier = build_classifier(config, channels)
        self.grouping: nn.Module | None = None

    def encode_independent(self, x: Tensor) -> Tensor:
        """The shallow feature of every frame.

        x: float32 N×3×H×W, RGB / 255, normalised with the card's mean and std. Returns float32 N×C×h×w, from which
        `encode_common` goes on.
        """
        return self.backbone.encode_shallow(x)

    def encode_common(self, x: Tensor | None, independent: Tensor | None = None) -> Tensor:
        """The deep feature of a key frame: float32 N×C×h×w, unit length over channels (paper 3.2).

        Goes on from the frame's `independent` feature where it is given; `x` is only read where it is not.
        """
        if independent is None:
            if x is None:
                raise DcfmError("encode_common needs the frame or its independent feature")
            independent = self.encode_independent(x)
        deep = self.head(self.backbone.encode_deep(independent))
        return unit(self.reduce(deep))

    def fused(self, common: Tensor, independent: Tensor, *, normalise_first: bool = True) -> Tensor:
        """The fusion of a common and an independent feature: float32 N×C×h×w, unit length over channels.

        The independent feature is normalised over *all* of its channels, brought to the common feature's size and cut
        to its first `independent_channels`. `normalise_first`: the published inference normalises, then resizes; the
        published training resizes, then normalises (`False`). They differ only where the strides do (ResNet).
        """
        return unit(F.relu(self.fusion(common, self._shallow(common, independent, normalise_first))))

    def classify(self, fused: Tensor) -> Tensor:
        """Fused feature -> logits, float32 N×`outputs`×h×w."""
        logits = self.classifier(fused)
        return logits if self.grouping is None else self.grouping(logits)

    @property
    def outputs(self) -> int:
        """How many logits a pixel has: one for each class, or for each group of classes, dropped ones included."""
        return self.config.num_classes if self.grouping is None else len(next(self.grouping.buffers()))

    def with_grouping(self, grouping: nn.Module, card: ModelCard) -> DCFM:
        """The same model, with the same tensors, whose logits are those of groups of its classes; see `model.groups`."""
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.grouping, other.card = grouping, card
        return other

    def logits(self, common: Tensor, independent: Tensor) -> Tensor:
        """Logits of a frame at low resolution, float32 N×num_classes×h×w, from any key frame's common feature."""
        return self.classify(self.fused(common, independent))

    def prepare_common(self, common: Tensor) -> Tensor:
        """The common half of the fusion with its batch norm folded in: computed once per key frame, inference only."""
        return self.fusion.common_half(common)

    def logits_prepared(self, prepared: Tensor, independent: Tensor) -> Tensor:
        """`logits` from what `prepare_common` returned: the same up to float rounding, for a part of the work."""
        half = self.fusion.independent_half(self._shallow(prepared, independent, True))
        return self.classify(unit(F.relu(prepared + half)))

    def _shallow(self, common: Tensor, independent: Tensor, normalise_first: bool) -> Tensor:
        if normalise_first:
            independent = resize(unit(independent), common)
        else:
            independent = unit(resize(independent, common))
        return independent[:, : self.independent_channels]


class Fusion(Foldable):
    """1×1 conv over common and independent features side by side, then batch norm (paper 3.2).

    Linear, so that it is the sum of a common half, which only key frames change, and an independent half.
    """

    def __init__(self, common_channels: int, independent_channels: int) -> None:
        super().__init__()
        self.common_channels = common_channels
        self.conv = nn.Conv2d(common_channels + independent_channels, common_channels, 1)
        self.norm = nn.BatchNorm2d(common_channels)

    def forward(self, common: Tensor, independent: Tensor) -> Tensor:
        return self.norm(self.conv(torch.cat([common, independent], dim=1)))

    def common_half(self, common: Tensor) -> Tensor:
        return self.folded().common_half(common)

    def independent_half(self, independent: Tensor) -> Tensor:
        return self.folded().independent_half(independent)

    def folded(self) -> FoldedFusion:
        return FoldedFusion(self)


class FoldedFusion(nn.Module):
    """`Fusion` as two convs, whose sum it is."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        scale, shift = scale_and_shift(fusion.norm)
        assert fusion.conv.bias is not None
        weight = fusion.conv.weight[:, :, 0, 0] * scale[:, None]
        self.common_half = pointwise(weight[:, : fusion.common_channels], fusion.conv.bias * scale + shift)
        self.independent_half = pointwise(weight[:, fusion.common_channels :])

    def forward(self, common: Tensor, independent: Tensor) -> Tensor:
        return self.common_half(common) + self.independent_half(independent)


def normalise(frames: Tensor, card: ModelCard) -> Tensor:
    """uint8 N×3×H×W RGB -> float32 with the card's mean and deviation, in the memory layout of `frames`."""
    mean, std = (torch.tensor(v, device=frames.device).view(3, 1, 1) for v in (card.mean, card.std))
    return (frames.float() / 255 - mean) / std


def build_classifier(config: ModelConfig, channels: int) -> nn.Sequential:
    """No layer has a bias; "mlp" keeps the number of channels, "conv" changes it to `classifier_channels`."""
    if config.classifier == "linear":
        final = nn.Conv2d(channels, config.num_classes, 1, bias=False)
        # Its input has unit length: unit weights give logits of unit variance from the first step on.
        nn.init.normal_(final.weight, std=1.0)
        return nn.Sequential(nn.Dropout2d(DROPOUT), final)
    hidden = channels if config.classifier == "mlp" else config.classifier_channels
    kernel = 1 if config.classifier == "mlp" else 3
    return nn.Sequential(
        nn.Conv2d(channels, hidden, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        nn.Dropout2d(DROPOUT),
        nn.Conv2d(hidden, config.num_classes, 1, bias=False),
    )


def build_model(config: ModelConfig, card: ModelCard | None = None) -> DCFM:
    """A randomly initialised model in eval mode; without a card, `numbered_card`'s."""
    return DCFM(config, card or numbered_card(config.num_classes)).eval()


def numbered_card(num_classes: int) -> ModelCard:
    """The card of the known class set of that size; else classes named by their number, each with its colour."""
    for known in CLASS_SETS.values():
        if len(known.names) == num_classes:
            return ModelCard(classes=known.names, colors=known.colors)
    numbers = range(num_classes)
    return ModelCard(
        classes=tuple(f"class_{i}" for i in numbers), colors=tuple(spread_color(i) for i in numbers)
    )
