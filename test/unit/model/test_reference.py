"""Our model is DCFM: same tensors in, same numbers out as the published implementation's."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dcfm_ros.model.normalisation import IMAGENET

CASES = ("mitb0_camvid", "mitb0_vit3_head2", "mitb1_cityscapes", "pspnet18_cityscapes")


@pytest.fixture(scope="module", params=CASES)
def case(request, reference_root, reference_model):
    model, config = reference_model(request.param)
    return config, np.load(reference_root / "cases" / f"{request.param}.npz"), model


def normalised(frames):
    x = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(IMAGENET.mean).view(3, 1, 1)) / torch.tensor(IMAGENET.std).view(3, 1, 1)


def logits_of(model, frames, interval):
    x = normalised(frames)
    result = []
    for i in range(len(x)):
        independent = model.encode_independent(x[i : i + 1])
        if i % interval == 0:
            common = model.encode_common(x[i : i + 1], independent)
            prepared = model.prepare_common(common)
        logits = model.logits(common, independent)
        torch.testing.assert_close(
            model.logits_prepared(prepared, independent), logits, rtol=0, atol=1e-5 * float(logits.std())
        )
        result.append(logits)
    return torch.cat(result)


def upsampled(logits, frames):
    return F.interpolate(logits, frames.shape[1:3], mode="bilinear", align_corners=False)


def agreement(labels, expected):
    return float((labels.numpy() == expected).mean())


@torch.inference_mode()
def test_causal_logits_and_labels(case):
    config, arrays, model = case
    logits = logits_of(model, arrays["frames"], config["key_interval"])
    expected = torch.from_numpy(arrays["logits"])
    assert float((logits - expected).abs().max() / expected.std()) < 1e-4
    assert agreement(upsampled(logits, arrays["frames"]).argmax(1), arrays["labels"]) >= 0.9999


@torch.inference_mode()
def test_bidirectional_labels(case):
    config, arrays, model = case
    frames, interval = arrays["frames"], config["key_interval"]
    x = normalised(frames)
    independents = [model.encode_independent(x[i : i + 1]) for i in range(len(x))]
    keys = {i: model.encode_common(None, independents[i]) for i in range(0, len(x), interval)}
    for i, independent in enumerate(independents):
        before = i - i % interval
        total = upsampled(model.logits(keys[before], independent), frames)
        if i != before and before + interval in keys:
            total = total + upsampled(model.logits(keys[before + interval], independent), frames)
        assert agreement(total.argmax(1)[0], arrays["labels_bidirectional"][i]) >= 0.9999
