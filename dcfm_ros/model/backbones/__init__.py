"""Backbones, each cut into a shallow and a deep part."""

from dcfm_ros.model.backbones.base import Backbone, FeatureInfo
from dcfm_ros.model.backbones.mit import MixTransformer
from dcfm_ros.model.backbones.mobilenetv2 import MobileNetV2
from dcfm_ros.model.backbones.resnet import ResNet
from dcfm_ros.model.config import ModelConfig

__all__ = ["Backbone", "FeatureInfo", "build_backbone"]


def build_backbone(config: ModelConfig) -> Backbone:
    """The backbone that `config` names, randomly initialised."""
    if config.backbone.startswith("mit"):
        return MixTransformer(config.backbone, config.independent_feature, config.drop_path)
    if config.backbone.startswith("resnet"):
        return ResNet(config.backbone, config.stem)
    return MobileNetV2(config.independent_feature)
