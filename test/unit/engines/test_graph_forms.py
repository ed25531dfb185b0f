"""The form that graphs are exported in changes the work, not the numbers."""

import pytest
import torch

from dcfm_ros.engines.graph import forms as graph_forms
from dcfm_ros.engines.graph.forms import (
    channel_first,
    channel_last,
    fused_logits,
    is_pointwise,
    use_graph_forms,
)
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.model.fold import fold


def folded(backbone, classifier):
    torch.manual_seed(0)
    channels = 0 if backbone.startswith("mit") else 48
    model = build_model(
        ModelConfig(
            backbone=backbone,
            common_channels=channels,
            independent_channels=16,  # of 24 or more
            num_classes=11,
            classifier=classifier,
        )
    )
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return fold(model)


def close(ours, expected):
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-5 * float(expected.std()))


@pytest.mark.parametrize(
    ("backbone", "classifier", "most_bytes"),
    [
        ("mit_b0", "linear", graph_forms.MAX_BYTES),
        ("mit_b0", "mlp", 100_000),
        ("mobilenetv2", "linear", graph_forms.MAX_BYTES),
        ("mobilenetv2", "conv", graph_forms.MAX_BYTES),
        ("efficientnet_lite0", "linear", graph_forms.MAX_BYTES),
        ("resnet18", "linear", graph_forms.MAX_BYTES),
    ],
)
@torch.inference_mode()
def test_every_graph_gives_the_same_numbers(backbone, classifier, most_bytes, monkeypatch):
    monkeypatch.setattr(graph_forms, "MAX_BYTES", most_bytes)
    plain = folded(backbone, classifier)
    written = folded(backbone, classifier)
    use_graph_forms(written)
    pixels = 60 * torch.randn(1, 3, 65, 97)
    independent = plain.encode_independent(pixels)
    close(written.encode_independent(pixels), independent)
    prepared = plain.prepare_common(plain.encode_common(None, independent))
    close(written.prepare_common(written.encode_common(None, independent)), prepared)
    other = plain.encode_independent(60 * torch.randn(1, 3, 65, 97))
    logits = plain.logits_prepared(prepared, other)
    features = channel_last(prepared), channel_last(other)
    by_row = fused_logits(written, *features)
    close(by_row.transpose(1, 2), logits)
    if is_pointwise(written):
        close(fused_logits(written, *(feature[:, 3:8] for feature in features)), by_row[:, 3:8])


def test_transformers_are_rewritten():
    model = folded("mit_b0", "linear")
    use_graph_forms(model)
    kinds = [type(module).__name__ for module in model.modules()]
    assert kinds.count("QueryFreeAttention") == 2, "the first stage's blocks have one head"
    assert kinds.count("MapMlp") == 8
    assert "OneHeadAttention" not in kinds and "MixMlp" not in kinds


def test_where_logits_come_from_their_own_pixel_alone():
    expected = {
        ("mit_b0", "linear"): True,
        ("mit_b0", "mlp"): True,
        ("mobilenetv2", "conv"): False,
        ("efficientnet_lite2", "linear"): True,
        ("resnet18", "linear"): False,
    }
    assert {kind: is_pointwise(folded(*kind)) for kind in expected} == expected


def test_layouts():
    x = torch.randn(1, 3, 4, 5)
    assert torch.equal(channel_last(x), x.permute(0, 2, 3, 1))
    assert torch.equal(channel_first(channel_last(x)), x)
