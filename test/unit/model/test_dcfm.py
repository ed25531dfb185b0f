"""The network's shapes, its two ways to the same logits, and its refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.config import from_mapping
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.backbones.registry import BACKBONES
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.model.heads import unit

SMALL = [
    (backbone, feature)
    for backbone in ("mit_b0", "mit_b2", "resnet18", "resnet50", "mobilenetv2", "efficientnet_lite2")
    for feature in BACKBONES[backbone].features
]


def randomised(config):
    """A model whose batch-norm statistics are not the trivial ones."""
    torch.manual_seed(0)
    model = build_model(config)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return model


@pytest.mark.parametrize(("backbone", "feature"), SMALL)
@torch.inference_mode()
def test_declared_channels_and_strides_are_true(backbone, feature):
    model = randomised(ModelConfig(backbone=backbone, independent_feature=feature))
    x = torch.randn(1, 3, 64, 96)
    independent = model.encode_independent(x)
    info = model.backbone.independent
    assert independent.shape == (1, info.channels, 64 // info.stride, 96 // info.stride)
    for feature_map, declared in zip(
        model.backbone.encode_deep(independent), model.backbone.deep, strict=True
    ):
        assert feature_map.shape == (1, declared.channels, 64 // declared.stride, 96 // declared.stride)


@pytest.mark.parametrize("classifier", ["linear", "mlp", "conv"])
@pytest.mark.parametrize("backbone", ["mit_b0", "resnet18", "mobilenetv2", "efficientnet_lite0"])
@torch.inference_mode()
def test_the_cached_half_gives_the_same_logits(backbone, classifier):
    config = ModelConfig(
        backbone=backbone, classifier=classifier, common_channels=48, independent_channels=16, num_classes=5
    )
    model = randomised(config)
    x, other = torch.randn(2, 1, 3, 50, 70)
    common, independent = model.encode_common(x), model.encode_independent(other)
    logits = model.logits(common, independent)
    cached = model.logits_prepared(model.prepare_common(common), independent)
    assert float((logits - cached).abs().max()) < 1e-5 * float(logits.std())


@pytest.mark.parametrize(
    ("backbone", "ends"), [("mobilenetv2", (4, 7, 14, 18)), ("efficientnet_lite0", (4, 6, 12, 17))]
)
@pytest.mark.parametrize("feature", BACKBONES["mobilenetv2"].features)
@settings(max_examples=15, deadline=None)
@given(height=st.integers(33, 80), width=st.integers(33, 80))
def test_the_common_branch_resumes_exactly_at_any_size(backbone, ends, feature, height, width):
    model = build_model(ModelConfig(backbone=backbone, independent_feature=feature))
    x = torch.randn(1, 3, height, width)
    with torch.inference_mode():
        resumed = model.backbone.encode_deep(model.encode_independent(x))
        whole = []
        for i, layer in enumerate(model.backbone.features):
            x = layer(x)
            if i + 1 in ends:
                whole.append(x)
    for ours, expected in zip(resumed, whole, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_features_have_unit_length():
    model = randomised(ModelConfig())
    common = model.encode_common(torch.randn(1, 3, 64, 64))
    fused = model.fused(common, model.encode_independent(torch.randn(1, 3, 64, 64)))
    for feature in (common, fused):
        torch.testing.assert_close(feature.norm(dim=1), torch.ones(1, 16, 16))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_feature_of_zeros_stays_one(dtype):
    """Half precision has no 1e-12, which keeps others from dividing by zero."""
    x = torch.tensor([0.0, 3.0, 0.0, 4.0], dtype=dtype).reshape(1, 2, 1, 2)
    assert unit(x).flatten().tolist() == [
        0.0,
        pytest.approx(0.6, abs=0.01),
        0.0,
        pytest.approx(0.8, abs=0.01),
    ]


def test_the_model_keeps_no_features():
    model = build_model(ModelConfig())
    before = set(vars(model))
    with torch.inference_mode():
        independent = model.encode_independent(torch.randn(1, 3, 64, 64))
        model.logits(model.encode_common(None, independent), independent)
    assert set(vars(model)) == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbone": "vgg"}, "unknown backbone 'vgg'; known: mit_b0"),
        ({"independent_feature": "layer1"}, "'mobilenetv2' has no independent feature 'layer1'"),
        ({"classifier": "big"}, "classifier is 'big'; expected one of linear, mlp, conv"),
        ({"num_classes": 256}, "num_classes is 256; expected a whole number from 1 to 255"),
        ({"stem": "wide"}, "stem is 'wide'; expected one of"),
    ],
)
def test_wrong_configurations_are_named(values, message):
    with pytest.raises(DcfmError, match=message):
        ModelConfig(**values)


def test_unknown_keys_are_errors():
    with pytest.raises(DcfmError, match="unknown key 'depth'; known: backbone"):
        from_mapping(ModelConfig, {"depth": 3})


def test_a_card_must_fit_the_model():
    with pytest.raises(DcfmError, match="tells 4 classes apart, its card names 11"):
        build_model(ModelConfig(num_classes=4), ModelCard())
    with pytest.raises(DcfmError, match="2 class names and 1 colours"):
        ModelCard(classes=("a", "b"), colors=((0, 0, 0),))


def test_encode_common_needs_something_to_encode():
    with pytest.raises(DcfmError, match="needs the frame or its independent feature"):
        build_model(ModelConfig()).encode_common(None)
