"""The baseline is honest: it is the published network, and it gives the published labels."""

import numpy as np
import pytest
import torch
from published_order import PublishedOrder

from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model

CASES = ("mitb0_camvid", "mitb0_vit3_head2", "mitb1_cityscapes", "pspnet18_cityscapes")


@pytest.mark.parametrize("name", CASES)
def test_labels_of_the_reference_cases(name, reference_root, reference_model):
    model, config = reference_model(name)
    arrays = np.load(reference_root / "cases" / f"{name}.npz")
    network = PublishedOrder(model)
    common = None
    for i, frame in enumerate(arrays["frames"]):
        if i % config["key_interval"] == 0:
            mask, common = network.key_frame(frame)
        else:
            mask = network.other_frame(frame, common)
        assert np.mean(mask == arrays["labels"][i]) >= 0.9999


@pytest.mark.parametrize(
    ("backbone", "feature"),
    [
        ("mit_b0", "patch_embedding"),
        ("mit_b0", "stage"),
        ("mobilenetv2", "stride4+8"),
        ("resnet18", "layer1"),
    ],
)
def test_it_computes_what_the_model_computes(backbone, feature):
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone=backbone, independent_feature=feature, num_classes=5))
    network = PublishedOrder(model)
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 64, 96, 3), np.uint8)
    _, common = network.key_frame(first)
    network.other_frame(second, common)
    with torch.inference_mode():
        x = [network._normalised(frame) for frame in (first, second)]
        expected = model.encode_common(x[0])
        torch.testing.assert_close(common, expected, rtol=1e-3, atol=1e-4)
        independent = model.encode_independent(x[1])
        torch.testing.assert_close(
            network._logits(common, network._shallow(x[1])),
            model.logits(expected, independent),
            rtol=1e-3,
            atol=1e-3,
        )


def test_it_tells_what_each_stage_took():
    network = PublishedOrder(build_model(ModelConfig(num_classes=3)))
    image = np.zeros((32, 32, 3), np.uint8)
    _, common = network.key_frame(image)
    assert set(network.laps) == {"preprocess", "independent", "common", "fuse", "label_map", "total"}
    network.other_frame(image, common)
    assert "common" not in network.laps
    assert sum(network.laps.values()) - network.laps["total"] <= network.laps["total"]
