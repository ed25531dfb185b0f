"""Folding changes the work, not the numbers."""

import pytest
import torch
from test_dcfm import randomised

from dcfm_ros.model.backbones.registry import BACKBONES
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.fold import fold
from dcfm_ros.model.slices import common_blocks

CASES = [
    *[
        (backbone, feature, 48)
        for backbone in ("mit_b0", "mobilenetv2", "efficientnet_lite2")
        for feature in BACKBONES[backbone].features
    ],
    ("resnet18", "layer1", 0),
    ("resnet18", "layer1", 48),
    ("resnet50", "layer1", 48),
]


def case(backbone, feature, common_channels, classifier="mlp"):
    config = ModelConfig(
        backbone=backbone,
        independent_feature=feature,
        common_channels=common_channels,
        independent_channels=16,
        num_classes=11,
        classifier=classifier,
    )
    model = randomised(config)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def bytes_and_normalised(card):
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (card.mean, card.std))
    pixels = torch.randint(0, 256, (1, 3, 65, 97)).float()
    return pixels - 255 * mean, (pixels / 255 - mean) / std


def close(ours, expected):
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-5 * float(expected.std()))


@pytest.mark.parametrize(("backbone", "feature", "common_channels"), CASES)
@torch.inference_mode()
def test_every_step_gives_the_same_numbers(backbone, feature, common_channels):
    model = case(backbone, feature, common_channels)
    folded = fold(model)
    pixels, normalised = bytes_and_normalised(model.card)
    independent = model.encode_independent(normalised)
    close(folded.encode_independent(pixels), independent)
    common = model.encode_common(None, independent)
    close(folded.encode_common(None, independent), common)
    close(folded.prepare_common(common), model.prepare_common(common))
    logits = model.logits(common, independent)
    close(folded.logits_prepared(folded.prepare_common(common), independent), logits)
    close(folded.logits(common, independent), logits)


@pytest.mark.parametrize("classifier", ["linear", "mlp", "conv"])
@torch.inference_mode()
def test_every_classifier_gives_the_same_logits(classifier):
    model = case("mobilenetv2", "stride4", 48, classifier)
    fused = torch.rand(1, 48, 16, 24)
    close(fold(model).classify(fused), model.classify(fused))


@pytest.mark.parametrize(("backbone", "feature"), [("mit_b0", "first_block"), ("resnet18", "layer1")])
@torch.inference_mode()
def test_a_folded_model_can_be_cut(backbone, feature):
    folded = fold(case(backbone, feature, 48))
    independent = folded.encode_independent(torch.randn(1, 3, 64, 96))
    blocks = common_blocks(folded, independent)
    with pytest.raises(StopIteration) as end:
        while True:
            next(blocks)
    close(end.value.value, folded.prepare_common(folded.encode_common(None, independent)))


def test_no_batch_norm_is_left():
    for backbone in ("mit_b0", "resnet50", "mobilenetv2", "efficientnet_lite0"):
        folded = fold(case(backbone, "", 48))
        assert not [module for module in folded.modules() if isinstance(module, torch.nn.BatchNorm2d)]


def test_the_model_itself_is_not_touched():
    model = case("mobilenetv2", "", 48)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fold(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_cards_own_normalisation_is_folded():
    card = ModelCard(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
    torch.manual_seed(0)
    from dcfm_ros.model.dcfm import build_model

    model = build_model(ModelConfig(), card)
    pixels, normalised = bytes_and_normalised(card)
    with torch.inference_mode():
        close(fold(model).encode_independent(pixels), model.encode_independent(normalised))
