"""What a model is (its architecture) and what it means (its card). Both travel inside the weights file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from dcfm_ros.config import Size, check, setting
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import CAMVID

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

MIT_FEATURES = ("patch_embedding", "first_block", "stage")
INDEPENDENT_FEATURES: dict[str, tuple[str, ...]] = {
    **{f"mit_b{i}": MIT_FEATURES for i in range(6)},
    "resnet18": ("layer1",),
    "resnet50": ("layer1",),
    "resnet101": ("layer1",),
    "mobilenetv2": ("stride4+8+16", "stride4+8", "stride4"),
}
DEFAULT_FEATURE = {
    name: "first_block" if name.startswith("mit") else features[0]
    for name, features in INDEPENDENT_FEATURES.items()
}
DEFAULT_DEEP_CHANNELS = {
    **{f"mit_b{i}": 256 for i in range(6)},
    "resnet18": 1024,
    "resnet50": 4096,
    "resnet101": 4096,
    "mobilenetv2": 96,
}


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of a DCFM network. Empty or zero fields take the backbone's default.

    backbone             one of INDEPENDENT_FEATURES' keys
    independent_feature  which early feature is computed on every frame (paper 3.2)
    independent_channels how many of the independent feature's first channels enter the fusion (0: all of them)
    deep_channels        channels of the deep head's output
    common_channels      channels of the common feature after a 1×1 reduction (0: no reduction)
    classifier_channels  hidden channels of the "conv" classifier
    drop_path            stochastic depth while training MiT backbones
    """

    backbone: str = "mobilenetv2"
    independent_feature: str = ""
    num_classes: int = setting(
        11, "classes the classifier tells apart; a mask of bytes has room for 255", 1, 255
    )
    independent_channels: int = 0
    deep_channels: int = 0
    common_channels: int = 0
    classifier: str = setting(
        "linear",
        "linear: one 1×1 conv; mlp: two 1×1 convs; conv: a 3×3 conv, then a 1×1 conv",
        choices=("linear", "mlp", "conv"),
    )
    classifier_channels: int = 256
    drop_path: float = 0.0
    stem: str = setting(
        "",
        "ResNet only: plain, a 7×7 conv (default of 18), or deep, three 3×3 convs (default of 50 and 101)",
        choices=("", "deep", "plain"),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.backbone not in INDEPENDENT_FEATURES:
            raise DcfmError(f"unknown backbone '{self.backbone}'; known: {', '.join(INDEPENDENT_FEATURES)}")
        if not self.independent_feature:
            object.__setattr__(self, "independent_feature", DEFAULT_FEATURE[self.backbone])
        known = INDEPENDENT_FEATURES[self.backbone]
        if self.independent_feature not in known:
            raise DcfmError(
                f"backbone '{self.backbone}' has no independent feature '{self.independent_feature}'; "
                f"known: {', '.join(known)}"
            )
        if not self.deep_channels:
            object.__setattr__(self, "deep_channels", DEFAULT_DEEP_CHANNELS[self.backbone])
        if not self.stem:
            object.__setattr__(
                self, "stem", "deep" if self.backbone in ("resnet50", "resnet101") else "plain"
            )


@dataclass(frozen=True)
class ModelCard:
    """What a model's numbers mean: everything about it that is not its architecture.

    classes and colors have one entry per class (colours RGB 0-255); input_size is (width, height) in pixels; mean and
    std are those of RGB / 255.
    """

    name: str = "untrained"
    classes: tuple[str, ...] = CAMVID.names
    colors: tuple[tuple[int, int, int], ...] = CAMVID.colors
    input_size: Size = (480, 360)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    licence: str = "not stated"
    notes: str = ""

    def __post_init__(self) -> None:
        check(self)
        if len(self.classes) != len(self.colors):
            raise DcfmError(
                f"a model card has {len(self.classes)} class names and {len(self.colors)} colours"
            )


def to_json(value: ModelConfig | ModelCard) -> str:
    """The dataclass as one line of JSON, as weights files carry it."""
    return json.dumps(asdict(value))
