"""ImageNet weights into a model's backbone: SegFormer's, Hugging Face's and torchvision's tensor layouts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import read_tensors
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.published import ENCODER_RULES, translate
from dcfm_ros.model.strict import load_strictly

CLASSIFIERS = re.compile(r"^(head|fc|classifier|decode_head)\.|^features\.18\.")
"""What ImageNet files hold beside the backbone: classifiers, and MobileNetV2's last 1×1 conv."""


def load_imagenet(model: DCFM, path: str | Path) -> None:
    """Loads the backbone from an ImageNet weights file, strictly; head, fusion and classifier stay as they are.

    The layout is told by the names: SegFormer's `mit_b*.pth`, Hugging Face's `nvidia/mit-b*`, torchvision's
    `mobilenet_v2-*.pth` and `resnet*.pth` (for ResNet-50/101: files with the deep stem). Raises DcfmError.
    """
    tensors = {name: value for name, value in read_tensors(path).items() if not CLASSIFIERS.match(name)}
    renamed = layout_of(tensors, path)(tensors)
    load_strictly(model.backbone, renamed, f"ImageNet weights file '{path}'")


def layout_of(
    tensors: dict[str, Tensor], path: str | Path
) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """The translation into our names that fits the names in the file."""
    for marker, translation in (
        ("patch_embed1.", from_segformer),
        ("segformer.encoder.", from_hugging_face),
        ("encoder.patch_embeddings.", from_hugging_face),
        ("features.0.", lambda tensors: tensors),
        ("layer1.", from_resnet),
    ):
        if any(name.startswith(marker) for name in tensors):
            return translation
    first = next(iter(tensors), "nothing")
    raise DcfmError(
        f"'{path}' is not an ImageNet weights file of a known layout (it holds '{first}'); "
        "known: SegFormer's and Hugging Face's MiT, torchvision's MobileNetV2 and ResNet"
    )


def from_segformer(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    prefixed = {f"backbone.encoder.{name}": value for name, value in tensors.items()}
    translated = translate(prefixed, ENCODER_RULES, "MiT encoder")
    return {name.removeprefix("backbone."): value for name, value in translated.items()}


HUGGING_FACE_NAMES = (
    ("layer_norm_1", "norm1"),
    ("layer_norm_2", "norm2"),
    ("attention.self.query", "attn.q"),
    ("attention.self.sr", "attn.sr"),
    ("attention.self.layer_norm", "attn.norm"),
    ("attention.output.dense", "attn.proj"),
    ("mlp.dense1", "mlp.fc1"),
    ("mlp.dense2", "mlp.fc2"),
    ("mlp.dwconv.dwconv", "mlp.dwconv"),
)


def from_hugging_face(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keys and values lie apart there and together here."""
    result = {}
    for name, value in tensors.items():
        name = re.sub(r"^(segformer\.)?encoder\.", "", name)
        name = re.sub(r"^patch_embeddings\.(\d)\.proj", r"stages.\1.embed.proj", name)
        name = re.sub(r"^patch_embeddings\.(\d)\.layer_norm", r"stages.\1.embed.norm", name)
        name = re.sub(r"^block\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2.", name)
        name = re.sub(r"^layer_norm\.(\d)\.", r"stages.\1.norm.", name)
        for theirs, ours in HUGGING_FACE_NAMES:
            name = name.replace(theirs, ours)
        result[name] = value
    for key in [name for name in result if ".attention.self.key." in name]:
        joined = torch.cat([result.pop(key), result.pop(key.replace(".key.", ".value."))])
        result[key.replace("attention.self.key", "attn.kv")] = joined
    return result


def from_resnet(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's stem `conv1, bn1`, and the deep stem `conv1, bn1, conv2, bn2, conv3, bn3`."""
    result = {}
    for name, value in tensors.items():
        stem = re.match(r"^(conv|bn)([123])\.(.*)$", name)
        if stem:
            name = f"stem.{3 * (int(stem[2]) - 1) + (stem[1] == 'bn')}.{stem[3]}"
        result[name] = value
    return result
