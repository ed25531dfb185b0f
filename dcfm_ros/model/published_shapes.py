"""The configuration of a published checkpoint, read off its tensors' shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dcfm_ros.errors import DcfmError
from dcfm_ros.model.backbones import mit, resnet
from dcfm_ros.model.published import BACKBONES


def infer_config(encoder: Mapping[str, Any], decoder: Mapping[str, Any]) -> dict[str, Any]:
    """The published configuration keys that belong to these tensors.

    Only `independent_feature` leaves no trace in the shapes: the published default is assumed (`vit1`, `layer1`).
    Raises DcfmError when the tensors are not those of a published checkpoint.
    """
    shapes = {
        name.removeprefix("module."): tuple(value.shape)
        for name, value in [*encoder.items(), *decoder.items()]
    }
    try:
        return _infer(shapes)
    except (KeyError, StopIteration) as error:
        raise DcfmError(
            "these are not the encoder and the decoder of a published DCFM checkpoint; expected the contents of "
            "encoder_epoch_N.pth and decoder_epoch_N.pth, in this order"
        ) from error


def _infer(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    ours = _backbone(shapes)
    fused, joined = shapes["ffm.convblk.conv.weight"][:2]
    reduced = "bot_aspp.weight" in shapes
    final = max(name for name in shapes if re.fullmatch(r"final\.[14]\.weight", name))
    heads = 0
    if final == "final.4.weight":
        heads = 1 if shapes["final.0.weight"][2] == 1 else 2
    return {
        "backbone": next(theirs for theirs, name in BACKBONES.items() if name == ours),
        "independent_feature": "vit1" if ours.startswith("mit") else "layer1",
        "num_classes": shapes[final][0],
        "head_nums": heads,
        "head_ch": shapes[final][1],
        "high_level_ch": shapes["bot_aspp.weight"][1] if reduced else fused,
        "bot_ch": fused if reduced else -1,
        "stage1_ch": joined - fused,
    }


def _backbone(shapes: dict[str, tuple[int, ...]]) -> str:
    if "backbone.encoder.patch_embed1.proj.weight" in shapes:
        widths = tuple(shapes[f"backbone.encoder.patch_embed{i}.proj.weight"][0] for i in range(1, 5))
        depths = tuple(_depth(shapes, rf"backbone\.encoder\.block{i}\.(\d+)\.") for i in range(1, 5))
        return next(name for name, size in mit.SIZES.items() if size == (widths, depths))
    depths = tuple(_depth(shapes, rf"backbone\.layer{i}\.(\d+)\.") for i in range(1, 5))
    return next(name for name, known in resnet.DEPTHS.items() if known == depths)


def _depth(shapes: dict[str, tuple[int, ...]], pattern: str) -> int:
    found = [int(match[1]) for name in shapes if (match := re.match(pattern, name))]
    return max(found, default=-1) + 1
