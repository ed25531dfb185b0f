"""The three loss terms against the published training's numbers, and what each of them is for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dcfm_lab.learn.config import DistillConfig, LossConfig
from dcfm_lab.learn.losses import (
    Truth,
    consistency,
    cross_entropy,
    distillation,
    lovasz_extension,
    lovasz_softmax,
    symmetric_losses,
)
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model, normalise

CASES = ("mitb0_camvid", "mitb1_cityscapes", "pspnet18_cityscapes")


@pytest.fixture(scope="module", params=CASES)
def published(request, reference_root, reference_model):
    """(model with the reference weights in eval mode, the arrays of its loss case)."""
    with np.load(reference_root / "cases" / f"{request.param}_loss.npz") as arrays:
        return reference_model(request.param)[0], dict(arrays)


def images(array, model):
    return normalise(torch.from_numpy(array).permute(0, 3, 1, 2), model.card)


@torch.no_grad()
def test_every_term_equals_the_published_one(published):
    model, arrays = published
    losses = symmetric_losses(
        model,
        images(arrays["labelled"], model),
        images(arrays["neighbour"], model),
        Truth(torch.from_numpy(arrays["target"])),
        LossConfig(),
    )
    own, reused, alike = (float(arrays[f"loss_{name}"]) for name in ("ce", "ce_reused", "consistency"))
    assert float(losses.own) == pytest.approx(own, rel=1e-5)
    assert float(losses.reused) == pytest.approx(reused, rel=1e-5)
    assert float(losses.consistency) == pytest.approx(alike, rel=1e-5)
    assert float(losses.total) == pytest.approx(own + 0.4 * reused + 10 * alike, rel=1e-5)
    # The two cross entropies are close to each other: they must not be taken for one another.
    assert abs(own - reused) > 1e-5 * own


# -- each term -------------------------------------------------------------------------------------------------


def test_cross_entropy_leaves_out_unlabelled_pixels():
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 3, 4)
    target = torch.randint(0, 5, (2, 12, 16), dtype=torch.uint8)
    target[0, :7] = 255
    full = F.interpolate(logits, (12, 16), mode="bilinear", align_corners=False)
    expected = F.cross_entropy(full, target.long(), ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, target), expected)
    weight = torch.tensor([1.0, 2.0, 0.5, 4.0, 1.0])
    expected = F.cross_entropy(full, target.long(), weight, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, target, weight), expected)


@pytest.mark.parametrize("loss_of", [cross_entropy, lovasz_softmax])
def test_a_loss_of_nothing_is_zero_and_finite(loss_of):
    logits = torch.randn(1, 5, 3, 4, requires_grad=True)
    loss = loss_of(logits, torch.full((1, 12, 16), 255, dtype=torch.uint8))
    loss.backward()
    assert float(loss.detach()) == 0 and float(logits.grad.abs().max()) == 0


def test_consistency_counts_only_where_both_are_labelled_alike():
    fused, other = torch.zeros(1, 4, 1, 2), torch.ones(1, 4, 1, 2)
    logits, elsewhere = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
    logits[:, 1], elsewhere[:, 1, 0, 0], elsewhere[:, 2, 0, 1] = 1, 1, 1
    # Alike on the first pixel of two, where all four channels differ by one.
    assert float(consistency(fused, other, logits, elsewhere)) == pytest.approx(0.5)
    assert float(consistency(fused, other, logits, logits)) == pytest.approx(1.0)
    assert float(consistency(fused, fused, logits, logits)) == 0.0


pixels = st.integers(1, 40)


@given(st.data(), pixels)
def test_lovasz_of_certain_predictions_is_one_minus_iou(data, count):
    truth, guess = (data.draw(hnp.arrays(bool, count)) for _ in range(2))
    truth[data.draw(st.integers(0, count - 1))] = True
    loss = lovasz_extension(torch.from_numpy(guess).float(), torch.from_numpy(truth))
    assert float(loss) == pytest.approx(1 - (truth & guess).sum() / (truth | guess).sum(), abs=1e-5)


@given(st.data(), pixels)
def test_lovasz_adds_what_each_further_wrong_pixel_costs(data, count):
    """The definition, by sets: Berman et al. 2018, equation 8."""
    truth = data.draw(hnp.arrays(bool, count))
    truth[data.draw(st.integers(0, count - 1))] = True
    probability = data.draw(hnp.arrays(np.float32, count, elements=st.floats(0, 1, width=32)))
    error = np.abs(truth - probability)
    wrong, before, expected = np.zeros(count, bool), 0.0, 0.0
    for pixel in np.argsort(-error, kind="stable"):
        wrong[pixel] = True
        cost = 1 - (truth & ~wrong).sum() / (truth | wrong).sum()
        expected += float(error[pixel]) * (cost - before)
        before = cost
    loss = lovasz_extension(torch.from_numpy(probability), torch.from_numpy(truth))
    assert float(loss) == pytest.approx(expected, abs=1e-5)


def test_lovasz_is_the_mean_over_the_classes_that_are_labelled_in_the_batch():
    logits = torch.full((1, 4, 2, 2), -40.0)
    logits[0, 0] = 40.0  # Everything is called class 0,
    target = torch.tensor(
        [[[0, 0], [0, 1]]], dtype=torch.uint8
    )  # three quarters are; one quarter is class 1.
    assert float(lovasz_softmax(logits, target, stride=1)) == pytest.approx((0.25 + 1.0) / 2)


def test_lovasz_leaves_out_unlabelled_pixels_and_what_lies_between_its_strides():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 6, 8)
    target = torch.randint(0, 3, (2, 6, 8), dtype=torch.uint8)
    target[:, :2] = 255
    expected = lovasz_softmax(logits[:, :, 2::2, ::2], target[:, 2::2, ::2], stride=1)
    torch.testing.assert_close(lovasz_softmax(logits, target), expected)
    logits[:, :, 1::2] += 7
    logits[:, :, :2] -= 7
    torch.testing.assert_close(lovasz_softmax(logits, target), expected)


def test_distillation_is_the_mean_divergence_over_what_is_taught():
    torch.manual_seed(0)
    logits, taught = torch.randn(2, 5, 6, 8), torch.randn(2, 5, 12, 16).softmax(1)
    taught[0, :, :7] = 0
    full = F.interpolate(logits, (12, 16), mode="bilinear", align_corners=False)
    divergence = F.kl_div(full.log_softmax(1), taught, reduction="none").sum(1)
    torch.testing.assert_close(distillation(logits, taught, 1.0), divergence[taught.sum(1) > 0].mean())
    # What says the same diverges by nothing.
    assert float(distillation(full, full.softmax(1), 1.0)) == pytest.approx(0, abs=1e-6)
    assert float(distillation(full, (full / 3).softmax(1), 3.0)) == pytest.approx(0, abs=1e-5)


def test_distillation_s_gradient_has_the_same_size_at_high_temperatures():
    torch.manual_seed(0)
    teacher, lengths = torch.randn(1, 5, 6, 8), []
    for temperature in (20.0, 40.0):
        logits = torch.randn(1, 5, 6, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
        distillation(logits, (teacher / temperature).softmax(1), temperature).backward()
        lengths.append(float(logits.grad.norm()))
    assert lengths[0] == pytest.approx(lengths[1], rel=0.05)


def test_distillation_of_nothing_is_zero_and_finite():
    logits = torch.randn(1, 5, 3, 4, requires_grad=True)
    loss = distillation(logits, torch.zeros(1, 5, 12, 16), 2.0)
    loss.backward()
    assert float(loss.detach()) == 0 and float(logits.grad.abs().max()) == 0


# -- switching terms off ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    model = build_model(ModelConfig(num_classes=5))
    frames, neighbours = torch.randn(2, 2, 3, 32, 64).unbind(0)
    target = torch.randint(0, 5, (2, 32, 64), dtype=torch.uint8)
    return model, frames, neighbours, Truth(target)


@pytest.mark.parametrize("term", ["own", "reused", "consistency"])
def test_a_term_of_weight_zero_is_not_there(pair, term):
    everything = symmetric_losses(*pair, LossConfig())
    losses = symmetric_losses(*pair, LossConfig(**{term: 0.0}))
    assert getattr(losses, term) is None
    rest = {"own": 1.0, "reused": 0.4, "consistency": 10.0}
    del rest[term]
    expected = sum(factor * getattr(everything, name) for name, factor in rest.items())
    torch.testing.assert_close(losses.total, expected)


@torch.no_grad()
def test_lovasz_is_added_to_both_cross_entropies(pair):
    model, frames, neighbours, truth = pair
    plain, both = (symmetric_losses(*pair, LossConfig(lovasz=weight)) for weight in (0.0, 0.5))
    independent = model.encode_independent(torch.cat([frames, neighbours]))
    common = model.encode_common(None, independent)
    for name, of in (("own", slice(0, 2)), ("reused", slice(2, 4))):
        logits = model.classify(model.fused(common[of], independent[:2], normalise_first=False))
        added = getattr(both, name) - getattr(plain, name)
        torch.testing.assert_close(added, 0.5 * lovasz_softmax(logits, truth.target))


@torch.no_grad()
def test_what_is_taught_is_added_to_both_cross_entropies(pair):
    model, frames, neighbours, truth = pair
    taught = torch.randn(2, 5, 32, 64).softmax(1)
    distilled = Truth(truth.target, None, taught, DistillConfig(weight=0.5, temperature=2.0))
    plain, both = (symmetric_losses(*pair[:3], t, LossConfig()) for t in (truth, distilled))
    independent = model.encode_independent(torch.cat([frames, neighbours]))
    common = model.encode_common(None, independent)
    for name, of in (("own", slice(0, 2)), ("reused", slice(2, 4))):
        logits = model.classify(model.fused(common[of], independent[:2], normalise_first=False))
        added = getattr(both, name) - getattr(plain, name)
        torch.testing.assert_close(added, 0.5 * distillation(logits, taught, 2.0))


def test_without_symmetric_terms_neighbours_are_not_looked_at(pair):
    model, frames, neighbours, truth = pair
    config = LossConfig(reused=0, consistency=0)
    alone = symmetric_losses(model, frames, torch.full_like(neighbours, torch.nan), truth, config)
    torch.testing.assert_close(alone.total, symmetric_losses(*pair, LossConfig()).own)


@torch.no_grad()
def test_a_neighbour_s_common_feature_is_moved_before_it_is_reused(pair):
    """By one pixel of the feature: what is at p lies at p + 1 in the neighbour."""
    model, frames, neighbours, truth = pair
    displacement = torch.zeros(2, 8, 16, 2)
    displacement[..., 0] = 1 / 16
    losses = symmetric_losses(*pair, LossConfig(), displacement)
    independent = model.encode_independent(torch.cat([frames, neighbours]))
    old = model.encode_common(None, independent)[2:]
    moved = torch.cat([old[..., 1:], old[..., -1:]], -1)
    logits = model.classify(model.fused(moved, independent[:2], normalise_first=False))
    torch.testing.assert_close(losses.reused, cross_entropy(logits, truth.target), rtol=1e-4, atol=1e-5)
    still, plain = (
        symmetric_losses(*pair, LossConfig(), field) for field in (torch.zeros_like(displacement), None)
    )
    torch.testing.assert_close(still.total, plain.total)
    torch.testing.assert_close(losses.own, plain.own)
    torch.testing.assert_close(losses.consistency, plain.consistency)


def test_a_frame_that_is_its_own_neighbour_has_nothing_to_learn_from_it(pair):
    model, frames, _, truth = pair
    losses = symmetric_losses(model, frames, frames, truth, LossConfig())
    torch.testing.assert_close(losses.own, losses.reused)
    assert float(losses.consistency) < 1e-12


def test_every_term_reaches_backbone_and_head(pair):
    model, *batch = pair
    for term in ("own", "reused", "consistency"):
        off = {"own": 0.0, "reused": 0.0, "consistency": 0.0, term: 1.0}
        model.zero_grad()
        symmetric_losses(model, *batch, LossConfig(**off)).total.backward()
        for parameter in (
            model.backbone.features[0][0].weight,
            model.head.fine.weight,
            model.fusion.conv.weight,
        ):
            assert float(parameter.grad.abs().max()) > 0, term
