"""ImageNet weights in each of the layouts they are distributed in."""

import re

import pytest
import torch

from dcfm_lab.learn.imagenet import load_imagenet
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model


def fresh(**values):
    """Two models of the same configuration with different random weights."""
    return build_model(ModelConfig(**values)), build_model(ModelConfig(**values))


def assert_same_backbone(model, other):
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, other.backbone.state_dict()[name]), name


def to_segformer(name):
    name = re.sub(r"^stages\.(\d)\.embed", lambda m: f"patch_embed{int(m[1]) + 1}", name)
    name = re.sub(r"^stages\.(\d)\.blocks\.", lambda m: f"block{int(m[1]) + 1}.", name)
    name = re.sub(r"^stages\.(\d)\.norm", lambda m: f"norm{int(m[1]) + 1}", name)
    return name.replace("mlp.dwconv", "mlp.dwconv.dwconv")


def to_hugging_face(name):
    name = re.sub(r"^stages\.(\d)\.embed\.proj", r"patch_embeddings.\1.proj", name)
    name = re.sub(r"^stages\.(\d)\.embed\.norm", r"patch_embeddings.\1.layer_norm", name)
    name = re.sub(r"^stages\.(\d)\.blocks\.(\d+)", r"block.\1.\2", name)
    name = re.sub(r"^stages\.(\d)\.norm", r"layer_norm.\1", name)
    for ours, theirs in (
        ("norm1", "layer_norm_1"),
        ("norm2", "layer_norm_2"),
        ("attn.q", "attention.self.query"),
        ("attn.sr", "attention.self.sr"),
        ("attn.norm", "attention.self.layer_norm"),
        ("attn.proj", "attention.output.dense"),
        ("mlp.fc1", "mlp.dense1"),
        ("mlp.fc2", "mlp.dense2"),
        ("mlp.dwconv", "mlp.dwconv.dwconv"),
    ):
        name = name.replace(ours, theirs)
    return f"segformer.encoder.{name}"


def test_segformer_layout(tmp_path):
    model, other = fresh(backbone="mit_b0")
    tensors = {to_segformer(name): value for name, value in other.backbone.state_dict().items()}
    torch.save(
        {**tensors, "head.weight": torch.zeros(1000, 256), "head.bias": torch.zeros(1000)},
        tmp_path / "b0.pth",
    )
    load_imagenet(model, tmp_path / "b0.pth")
    assert_same_backbone(model, other)


def test_hugging_face_layout(tmp_path):
    model, other = fresh(backbone="mit_b0")
    tensors = {"classifier.weight": torch.zeros(1000, 256)}
    for name, value in other.backbone.state_dict().items():
        published = to_hugging_face(name)
        if "attn.kv" in name:
            key, val = value.chunk(2)
            tensors[published.replace("attn.kv", "attention.self.key")] = key
            tensors[published.replace("attn.kv", "attention.self.value")] = val
        else:
            tensors[published] = value
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    load_imagenet(model, tmp_path / "pytorch_model.bin")
    assert_same_backbone(model, other)


@pytest.mark.parametrize(
    ("backbone", "stem"), [("resnet18", ""), ("resnet50", "plain"), ("resnet50", "deep")]
)
def test_resnet_layouts(tmp_path, backbone, stem):
    model, other = fresh(backbone=backbone, stem=stem)
    tensors = {"fc.weight": torch.zeros(1000, 512)}
    for name, value in other.backbone.state_dict().items():
        match = re.match(r"stem\.(\d)\.(.*)", name)
        if match:
            kind, number = "conv" if int(match[1]) % 3 == 0 else "bn", int(match[1]) // 3 + 1
            name = f"{kind}{number}.{match[2]}"
        tensors[name] = value
    torch.save(tensors, tmp_path / "resnet.pth")
    load_imagenet(model, tmp_path / "resnet.pth")
    assert_same_backbone(model, other)


def test_torchvision_mobilenetv2_layout(tmp_path):
    model, other = fresh()
    tensors = dict(other.backbone.state_dict())
    tensors |= {
        "features.18.0.weight": torch.zeros(1280, 320, 1, 1),
        "classifier.1.weight": torch.zeros(1000, 1280),
    }
    torch.save(tensors, tmp_path / "mobilenet_v2.pth")
    load_imagenet(model, tmp_path / "mobilenet_v2.pth")
    assert_same_backbone(model, other)


BLOCK_PARTS = {
    "conv.0.0": "_expand_conv",
    "conv.0.1": "_bn0",
    "conv.1.0": "_depthwise_conv",
    "conv.1.1": "_bn1",
    "conv.2": "_project_conv",
    "conv.3": "_bn2",
}
FIRST_BLOCK_PARTS = {
    "conv.0.0": "_depthwise_conv",
    "conv.0.1": "_bn1",
    "conv.1": "_project_conv",
    "conv.2": "_bn2",
}


def to_efficientnet_lite(name):
    name = name.replace("features.0.0.", "_conv_stem.").replace("features.0.1.", "_bn0.")
    match = re.match(r"features\.(\d+)\.(conv\.\d(?:\.\d)?)\.(\w+)$", name)
    if not match:
        return name
    parts = FIRST_BLOCK_PARTS if match[1] == "1" else BLOCK_PARTS
    return f"_blocks.{int(match[1]) - 1}.{parts[match[2]]}.{match[3]}"


@pytest.mark.parametrize(
    ("size", "blocks", "coarsest", "middle"), [(0, 16, 320, 112), (2, 21, 352, 120), (4, 30, 448, 160)]
)
def test_efficientnet_lite_layout(tmp_path, size, blocks, coarsest, middle):
    model, other = fresh(backbone=f"efficientnet_lite{size}")
    tensors = {to_efficientnet_lite(name): value for name, value in other.backbone.state_dict().items()}
    assert f"_blocks.{blocks - 1}._bn2.weight" in tensors and f"_blocks.{blocks}._bn2.weight" not in tensors
    assert tensors[f"_blocks.{blocks - 1}._project_conv.weight"].shape[0] == coarsest
    assert model.backbone.deep[2].channels == middle
    tensors |= {
        "_conv_head.weight": torch.zeros(1280, coarsest, 1, 1),
        "_bn1.weight": torch.zeros(1280),
        "_fc.weight": torch.zeros(1000, 1280),
    }
    torch.save(tensors, tmp_path / "lite.pth")
    load_imagenet(model, tmp_path / "lite.pth")
    assert_same_backbone(model, other)


def test_the_wrong_backbone_is_refused_by_tensor_and_shapes(tmp_path):
    model, _ = fresh(backbone="mit_b1")
    _, other = fresh(backbone="mit_b0")
    tensors = {to_segformer(name): value for name, value in other.backbone.state_dict().items()}
    torch.save(tensors, tmp_path / "b0.pth")
    with pytest.raises(DcfmError, match=r"stages\.0\.embed\.proj\.weight.*\(32, 3, 7, 7\).*\(64, 3, 7, 7\)"):
        load_imagenet(model, tmp_path / "b0.pth")


def test_an_unknown_layout_is_refused(tmp_path):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(DcfmError, match=r"known layout \(it holds 'conv.weight'\)"):
        load_imagenet(fresh()[0], tmp_path / "x.pth")
