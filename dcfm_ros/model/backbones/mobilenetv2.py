"""MobileNetV2 (arXiv 1801.04381, table 2) in torchvision's tensor layout, without its last 1×1 conv."""

from __future__ import annotations

from dcfm_ros.model.backbones.base import BackboneSpec, Layout
from dcfm_ros.model.backbones.inverted_residuals import FEATURES, InvertedResiduals, table
from dcfm_ros.model.heads import LightHead

ROWS = table((3, 3, 3, 3, 3, 3, 3), (16, 24, 32, 64, 96, 160, 320), (1, 2, 3, 4, 3, 3, 1))
"""Eighteen layers with the stem. Independent features of 24, 32 and 64 channels see 19, 59 and 171 pixels."""

BACKBONES = {
    "mobilenetv2": BackboneSpec(
        features=FEATURES,
        deep_channels=96,
        build=lambda config: InvertedResiduals(ROWS, config.independent_feature),
        head=LightHead,
        layouts=(Layout("torchvision's MobileNetV2", "features.0.", r"classifier\.|features\.18\."),),
    )
}
