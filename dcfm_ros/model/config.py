"""What a model is (its architecture) and what it means (its card). Both travel inside the weights file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field

import numpy as np

from dcfm_ros.arrays import Mask
from dcfm_ros.config import Size, check, parse_size, setting
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import CAMVID
from dcfm_ros.model.normalisation import IMAGENET

MAX_CHANNELS = 4096
"""As in the widest published model. What a file claims beyond would only take memory."""
MIN_STD = 1e-4
"""In units of RGB / 255: a fortieth of one step of a byte."""


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of a DCFM network. Empty or zero fields take the backbone's default.

    backbone             one of `backbones.registry.BACKBONES`
    independent_feature  which early feature is computed on every frame (paper 3.2)
    """

    backbone: str = "mobilenetv2"
    independent_feature: str = ""
    num_classes: int = setting(
        11, "classes the classifier tells apart; a mask of bytes has room for 255", 1, 255
    )
    independent_channels: int = setting(
        0, "how many of the independent feature's first channels enter the fusion; 0: all of them", 0, 1024
    )
    deep_channels: int = setting(0, "channels of the deep head's output", 0, MAX_CHANNELS)
    common_channels: int = setting(
        0, "channels of the common feature after a 1×1 reduction; 0: no reduction", 0, MAX_CHANNELS
    )
    classifier: str = setting(
        "linear",
        "linear: one 1×1 conv; mlp: two 1×1 convs; conv: a 3×3 conv, then a 1×1 conv",
        choices=("linear", "mlp", "conv"),
    )
    classifier_channels: int = setting(256, 'hidden channels of the "conv" classifier', 1, 1024)
    drop_path: float = setting(0.0, "stochastic depth while training MiT backbones", 0.0, 0.9)
    stem: str = setting(
        "",
        "ResNet only: plain, a 7×7 conv (default of 18), or deep, three 3×3 convs (default of 50 and 101)",
        choices=("", "deep", "plain"),
    )

    def __post_init__(self) -> None:
        check(self)
        # Imported here, so that what only reads these fields does without torch.
        from dcfm_ros.model.backbones.registry import BACKBONES

        if self.backbone not in BACKBONES:
            raise DcfmError(f"unknown backbone '{self.backbone}'; known: {', '.join(BACKBONES)}")
        spec = BACKBONES[self.backbone]
        defaults = {
            "independent_feature": spec.features[0],
            "deep_channels": spec.deep_channels,
            "stem": spec.stem,
        }
        for name, value in defaults.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)
        if self.independent_feature not in spec.features:
            raise DcfmError(
                f"backbone '{self.backbone}' has no independent feature '{self.independent_feature}'; "
                f"known: {', '.join(spec.features)}"
            )


@dataclass(frozen=True)
class ModelCard:
    """What a model's numbers mean: everything about it that is not its architecture.

    classes and colors have one entry per class (colours RGB 0-255); input_size is (width, height) in pixels; mean and
    std are those of RGB / 255. accuracy: what was measured, in words. members: where the classes are groups (see
    `model.groups`), the group that each class of the weights is in, 255 for none, and their colours; else empty.
    align: whether its common features are best moved along optical flow before other frames use them (`flow`) or used
    where they were, as published (`none`).
    """

    name: str = "untrained"
    classes: tuple[str, ...] = CAMVID.names
    colors: tuple[tuple[int, int, int], ...] = field(default=CAMVID.colors, metadata={"low": 0, "high": 255})
    input_size: Size = (480, 360)
    mean: tuple[float, float, float] = IMAGENET.mean
    std: tuple[float, float, float] = IMAGENET.std
    licence: str = "not stated"
    notes: str = ""
    accuracy: str = ""
    members: tuple[int, ...] = ()
    member_colors: tuple[tuple[int, int, int], ...] = ()
    align: str = setting(
        "none", "what moves a common feature to where its things are now", choices=("flow", "none")
    )

    def __post_init__(self) -> None:
        check(self)
        if len(self.classes) != len(self.colors):
            raise DcfmError(
                f"a model card has {len(self.classes)} class names and {len(self.colors)} colours"
            )
        parse_size(self.input_size, "input_size", smallest=1)
        unclear = [name for name in self.classes if not name.strip() or self.classes.count(name) > 1]
        if unclear:
            raise DcfmError(f"a model card has a class name that is empty or given twice: '{unclear[0]}'")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) < MIN_STD:
            raise DcfmError(
                f"a model card has mean {self.mean} and std {self.std}; expected finite numbers, std of {MIN_STD} or more"
            )


def in_groups(label: Mask, card: ModelCard) -> Mask:
    """A label of the weights' classes, uint8 H×W, with the card's groups in their place; the same where it has none."""
    if not card.members:
        return label
    table = np.arange(256, dtype=np.uint8)
    table[: len(card.members)] = card.members
    return table[label]


def to_json(value: ModelConfig | ModelCard) -> str:
    """The dataclass as one line of JSON, as weights files carry it."""
    return json.dumps(asdict(value))
