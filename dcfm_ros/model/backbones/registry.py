"""The backbones there are."""

from __future__ import annotations

from dcfm_ros.model.backbones import efficientnet_lite, mit, mobilenetv2, resnet
from dcfm_ros.model.backbones.base import BackboneSpec

BACKBONES: dict[str, BackboneSpec] = {
    **mit.BACKBONES,
    **resnet.BACKBONES,
    **mobilenetv2.BACKBONES,
    **efficientnet_lite.BACKBONES,
}
