"""`dcfm mean` on real files."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dcfm_ros import cli
from dcfm_ros.model.checkpoint import load_model, save_model
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model


@pytest.fixture
def two(tmp_path):
    """Models of random weights, and where they are."""
    files = {}
    for seed, align in ((1, "flow"), (2, "none")):
        torch.manual_seed(seed)
        card = ModelCard(classes=("floor", "wall"), colors=((0, 0, 0), (255, 255, 255)), align=align)
        model = build_model(ModelConfig(num_classes=2), card)
        model.fusion.norm.running_mean.normal_()
        path = tmp_path / f"a=b{seed}.safetensors"
        save_model(model, path)
        files[path] = load_model(path)
    return files


@pytest.mark.parametrize("share", [0.25, 0.8])
def test_every_weight_and_statistic_is_the_mean_and_the_card_is_the_firsts(two, share, tmp_path, capsys):
    out = tmp_path / "mean.safetensors"
    words = [f"{path}={part}" for path, part in zip(two, (share, 1 - share), strict=True)]
    assert cli.main(["mean", *words, "-o", str(out)]) == 0
    assert "floor, wall" in capsys.readouterr().out
    mean, (first, second) = load_model(out), two.values()
    assert mean.card == first.card != second.card
    theirs = second.state_dict()
    for name, value in first.state_dict().items():
        if value.is_floating_point():
            expected = share * value.double() + (1 - share) * theirs[name].double()
            torch.testing.assert_close(mean.state_dict()[name].double(), expected, atol=1e-6, rtol=1e-6)
    assert not torch.equal(mean.fusion.norm.running_mean, first.fusion.norm.running_mean)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        (("0.5", "0.4"), "the shares 0.5 + 0.4 do not add up to 1"),
        (("0.5", "half"), "is no MODEL=SHARE; expected a share above 0"),
        (("1.5", "-0.5"), "is no MODEL=SHARE"),
        ((".nan", ".nan"), "is no MODEL=SHARE"),
        (("1", "true"), "is no MODEL=SHARE"),
    ],
)
def test_shares_that_make_no_sense_are_refused(two, shares, message, tmp_path, capsys):
    out = tmp_path / "mean.safetensors"
    words = [f"{path}={share}" for path, share in zip(two, shares, strict=True)]
    assert cli.main(["mean", *words, "-o", str(out)]) == 2
    assert message in capsys.readouterr().err and not out.exists()


def test_models_that_do_not_correspond_are_refused(two, tmp_path, capsys):
    other, out = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    save_model(build_model(ModelConfig(num_classes=3)), other)
    assert cli.main(["mean", f"{next(iter(two))}=0.5", f"{other}=0.5", "-o", str(out)]) == 2
    assert "differ in architecture" in capsys.readouterr().err and not out.exists()


def test_weights_for_other_inputs_are_refused(two, tmp_path, capsys):
    path, out = next(iter(two)), tmp_path / "mean.safetensors"
    model = load_model(path)
    other = build_model(model.config, replace(model.card, mean=(0.5, 0.5, 0.5)))
    save_model(other, tmp_path / "other.safetensors")
    assert cli.main(["mean", f"{path}=0.5", f"{tmp_path}/other.safetensors=0.5", "-o", str(out)]) == 2
    assert "differ in normalisation" in capsys.readouterr().err and not out.exists()


def test_models_that_do_not_come_from_one_another_are_told_of(two, tmp_path, capsys):
    first, second = (f"{path}=0.5" for path in two)
    assert cli.main(["mean", first, second, "-o", str(tmp_path / "apart.safetensors")]) == 0
    assert "seem not to come from one another" in capsys.readouterr().out
    assert cli.main(["mean", "street=0.5", "camvid=0.5", "-o", str(tmp_path / "near.safetensors")]) == 0
    assert "warning" not in capsys.readouterr().out


def test_a_name_without_a_share_and_another_kind_of_file_are_refused(two, tmp_path, capsys):
    first = next(iter(two))
    assert cli.main(["mean", "street", "-o", str(tmp_path / "x.safetensors")]) == 2
    assert "'street' is no MODEL=SHARE" in capsys.readouterr().err
    assert cli.main(["mean", f"{first}=1", "-o", str(tmp_path / "x.pth")]) == 2
    assert "ends in .safetensors" in capsys.readouterr().err
