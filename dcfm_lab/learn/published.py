"""The published checkpoints' tensor names and configuration, translated into ours.

`encoder_epoch_N.pth` holds the backbone and its deep head, `decoder_epoch_N.pth` the reduction, the fusion and the
classifier; all names may carry the `module.` prefix of data-parallel training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dcfm_ros.errors import DcfmError
from dcfm_ros.model.backbones import mit, resnet
from dcfm_ros.model.backbones.base import Rules, rename
from dcfm_ros.model.checkpoint import load_strictly
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import DCFM, build_model

BACKBONES = {
    **{f"segformerb{i}": f"mit_b{i}" for i in range(6)},
    **{f"pspnet{depth}": f"resnet{depth}" for depth in (18, 50, 101)},
}
FEATURES = {"vit0": "patch_embedding", "vit1": "first_block", "vit3": "stage", "layer1": "layer1"}
CLASSIFIERS = ("linear", "mlp", "conv")
KEYS = (
    *("backbone", "independent_feature", "num_classes", "head_nums"),
    *("head_ch", "high_level_ch", "bot_ch", "stage1_ch"),
)
UNUSED = re.compile(r"backbone\.decoder\.(conv_seg|linear_pred)\.")
"""Layers of the published encoders that nothing reads."""

ENCODER_RULES = (
    *(
        (r"backbone\.encoder\." + pattern, lambda m, target=target: f"backbone.{target(m)}")
        for pattern, target in mit.SEGFORMER_RULES
    ),
    (r"backbone\.decoder\.linear_c(\d)\.proj\.", lambda m: f"head.projections.{int(m[1]) - 1}."),
    (r"backbone\.decoder\.linear_fuse\.conv\.", lambda m: "head.fuse."),
    (r"backbone\.decoder\.linear_fuse\.bn\.", lambda m: "head.norm."),
    (r"backbone\.layer0\.", lambda m: "backbone.stem."),
    (r"backbone\.(layer[1-4])\.", lambda m: f"backbone.{m[1]}."),
    (r"backbone\.ppm\.features\.(\d)\.1\.", lambda m: f"head.convs.{m[1]}."),
    (r"backbone\.ppm\.features\.(\d)\.2\.", lambda m: f"head.norms.{m[1]}."),
)
DECODER_RULES = (
    (r"bot_aspp\.", lambda m: "reduce."),
    (r"ffm\.convblk\.conv\.", lambda m: "fusion.conv."),
    (r"ffm\.convblk\.norm\.", lambda m: "fusion.norm."),
    (r"final\.(\d)\.", lambda m: f"classifier.{m[1]}."),
)


def from_published(
    encoder: Mapping[str, Any],
    decoder: Mapping[str, Any],
    config: Mapping[str, Any],
    card: ModelCard | None = None,
) -> DCFM:
    """The model that the published tensors describe, in eval mode.

    encoder, decoder: tensors (torch or NumPy) by their published names, with or without `module.`; config: the keys
    KEYS (others, such as `key_interval` and `tensors`, say nothing about the network and are not read). Raises
    DcfmError for a missing key, an unknown value, and for a missing, surplus or misshapen tensor.
    """
    model = build_model(published_config(config), card)
    tensors = translate(encoder, ENCODER_RULES, "encoder")
    tensors.update(translate(decoder, DECODER_RULES, "decoder"))
    load_strictly(model, tensors, "the published checkpoint")
    return model


def published_config(config: Mapping[str, Any]) -> ModelConfig:
    """Our configuration for a published one."""
    for key in KEYS:
        if key not in config:
            raise DcfmError(f"the published configuration lacks '{key}'; it needs {', '.join(KEYS)}")
    return ModelConfig(
        backbone=_known(BACKBONES, config, "backbone"),
        independent_feature=_known(FEATURES, config, "independent_feature"),
        num_classes=int(config["num_classes"]),
        independent_channels=int(config["stage1_ch"]),
        deep_channels=int(config["high_level_ch"]),
        common_channels=max(int(config["bot_ch"]), 0),
        classifier=_known(dict(enumerate(CLASSIFIERS)), config, "head_nums"),
        classifier_channels=int(config["head_ch"]),
    )


def translate(tensors: Mapping[str, Any], rules: Rules, what: str) -> dict[str, Tensor]:
    """Published names -> ours; unused layers are left out, an unknown name raises DcfmError."""
    names = {published.removeprefix("module."): value for published, value in tensors.items()}
    used = {name: torch.as_tensor(value) for name, value in names.items() if not UNUSED.match(name)}
    return rename(used, rules, what)


def _known(table: Mapping[Any, str], config: Mapping[str, Any], key: str) -> str:
    value = config[key]
    if value not in table:
        known = ", ".join(str(name) for name in table)
        raise DcfmError(f"the published configuration has {key} = {value!r}; known: {known}")
    return table[value]


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
    backbone = _backbone(shapes)
    fused, joined = shapes["ffm.convblk.conv.weight"][:2]
    reduced = "bot_aspp.weight" in shapes
    final = max(name for name in shapes if re.fullmatch(r"final\.[14]\.weight", name))
    heads = 0
    if final == "final.4.weight":
        heads = 1 if shapes["final.0.weight"][2] == 1 else 2
    return {
        "backbone": next(theirs for theirs, ours in BACKBONES.items() if ours == backbone),
        "independent_feature": "vit1" if backbone.startswith("mit") else "layer1",
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
