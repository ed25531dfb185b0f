"""Configurations: strict, with every published setting among those that ship."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from dcfm_lab.datasets import DATASETS
from dcfm_lab.learn.config import expanded, load_config
from dcfm_lab.learn.optimiser import Schedule, build_optimiser
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import CLASS_SETS
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.model.shipped import weights_path

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / "config" / "train").glob("*.yaml"))
PUBLISHED = {
    "vspw_mit_b2": (6e-5, 6e-4, 160_000, 16),
    "vspw_mit_b5": (4e-5, 6e-4, 160_000, 16),
    "cityscapes_mit_b1": (6e-5, 6e-4, 160_000, 16),
    "cityscapes_resnet18": (0.01, 0.01, 80_000, 8),
    "cityscapes_resnet50": (0.01, 0.01, 80_000, 8),
    "cityscapes_resnet101": (0.01, 0.01, 80_000, 4),
    "camvid_resnet50": (0.02, 0.02, 40_000, 8),
}
OURS = {
    "camvid_mobilenetv2",
    "camvid_mit_b0",
    "recordings",
    "street_shallow",
    "street_stage1",
    "street_stage2",
}
KEY_FRAMES_ALONE = {"street_stage1"}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


MINIMAL = "train: [{dataset: camvid, root: camvid}]\n"


# -- what ships ------------------------------------------------------------------------------------------------


def test_every_setting_has_its_file():
    assert {path.stem for path in SHIPPED} == set(PUBLISHED) | OURS


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_hold_together(path):
    config = load_config(path)
    assert path.stem.startswith((config.train[0].dataset.split("_")[0], "street"))
    for source in (*config.train, *config.val):
        assert source.dataset in DATASETS
    classes = CLASS_SETS.get(config.train[0].dataset.split("_")[0])
    if classes is None:  # the user's own, and all but them from the weights that it begins with
        assert config.model is None and weights_path(config.init).is_file()
    else:
        assert config.model.num_classes == len(classes.names)
    assert config.out == f"runs/{path.stem}"
    assert config.loss.own > 0
    assert (min(config.loss.reused, config.loss.consistency) > 0) == (path.stem not in KEY_FRAMES_ALONE)
    # The command that is given in the file is the one for it.
    assert f"config/train/{path.name}" in path.read_text() or path.stem == "camvid_mobilenetv2"


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_learning_rates(name):
    backbone, head, steps, batch = PUBLISHED[name]
    config = load_config(ROOT / "config" / "train" / f"{name}.yaml")
    assert (config.steps, config.batch) == (steps, batch)
    assert config.optim.lr == pytest.approx(head)
    assert config.optim.lr * config.optim.backbone_lr_ratio == pytest.approx(backbone, rel=1e-5)
    assert config.train[0].reach == 1
    assert (config.loss.own, config.loss.reused, config.loss.consistency) == (1.0, 0.4, 10.0)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_models_can_be_built(path):
    model = load_config(path).model or ModelConfig()
    with torch.device("meta"):
        built = build_model(model)
    assert sum(p.numel() for p in built.parameters()) > 1e6


def test_the_second_stage_of_the_street_is_taught_by_the_first():
    first, second = (load_config(ROOT / "config" / "train" / f"street_stage{stage}.yaml") for stage in (1, 2))
    assert first.init == "camvid" and second.distill.teacher == f"{first.out}/last.safetensors"
    assert first.input_size == second.input_size and first.name == second.name


# -- strictness ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz: 3", "unknown key 'stepz'; known: train, val"),
        ("optim: {lrate: 1}", r"unknown key 'optim.lrate'; known: name, lr"),
        ("steps: many", r"steps is 'many'; expected a whole number of 1 or more"),
        ("steps: 3.5", "steps is 3.5; expected a whole number"),
        ("steps: true", "steps is True; expected a whole number"),
        ("optim: {lr: fast}", "optim.lr is 'fast'; expected a number of 0 or more"),
        ("optim: {name: adam}", "optim.name is 'adam'; expected one of adamw, sgd"),
        ("augment: {crop: [64]}", r"augment.crop is \[64\]; expected WIDTHxHEIGHT"),
        ("augment: {crop: 64}", "augment.crop is 64; expected WIDTHxHEIGHT"),
        ("augment: {crop: big}", "augment.crop is 'big'; expected WIDTHxHEIGHT"),
        ("augment: {crop: [64, 99999]}", "augment.crop is .*; width and height must be from 0 to 16384"),
        ("augment: {flip: 2}", "augment.flip is 2; expected a number from 0 to 1"),
        ("motion: {patches: -1}", "motion.patches is -1; expected a whole number of 0 or more"),
        ("loss: {own: -1}", "loss.own is -1; expected a number of 0 or more"),
        ("augment: {scale: [1.0]}", r"augment.scale is \[1.0\]; expected a list of 2"),
        ("augment: {scale: 1.0}", "augment.scale is 1.0; expected a list"),
        ("amp: 1", "amp is 1; expected true or false"),
        ("model: {backbone: vgg}", "unknown backbone 'vgg'; known: mit_b0"),
        ("steps: 0", "steps is 0; expected a whole number of 1 or more"),
        ("ema_decay: 1.0", "ema_decay is 1.0; expected a number from 0 to 0.999999"),
        ("augment: [1]", r"augment is \[1\]; expected a mapping of keys to values"),
    ],
)
def test_a_wrong_key_is_named(tmp_path, text, message):
    path = written(tmp_path, MINIMAL + text)
    with pytest.raises(DcfmError, match=f"configuration '.*mine.yaml': {message}") as error:
        load_config(path)
    assert "\n" not in str(error.value)


def _laughs(mapping):
    """A few lines that stand for a thousand million values, by aliases in lists, or merged into mappings."""
    lines = ["a: &a {x: 1}"]
    for before, name in zip("abcdefghi", "bcdefghij"):
        lines.append(f"{name}: &{name} " + mapping.format(f"[{', '.join([f'*{before}'] * 10)}]"))
    return "\n".join([*lines, "train: *j"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: [{root: x}]", "key 'train.0.dataset' is missing; it has no default"),
        ("train: [{dataset: camvid, options: [3]}]", "train.0.options is .*; expected a mapping"),
        ("train: []", "'train' lists no dataset"),
        ("steps: 3", "key 'train' is missing"),
        ("train: [", "is not valid YAML"),
        ("[1, 2]", "must hold keys and values"),
        ("train: [{dataset: 2020-99-99}]", "is not valid YAML: month must be"),
        ("steps: !!int many", "is not valid YAML: invalid literal"),
        ("amp: !!bool many", "is not valid YAML"),
        ("train: " + "[" * 5000, "is not valid YAML: it is nested too deeply"),
        ("train: &a [*a]", "is not valid YAML: 'a' contains itself"),
        ("seed: 0x" + "f" * 6000, "is not valid YAML: it has a whole number beyond 64 bits"),
        ("train: []\ninput_size: " + "9" * 5000 + "x3", "expected WIDTHxHEIGHT"),
        (_laughs("{}"), "is not valid YAML: it has more than 1000000 values"),
        (_laughs("{{<<: {}}}"), "is not valid YAML: it has more than 1000000 values"),
    ],
)
def test_a_wrong_file_says_so(tmp_path, text, message):
    with pytest.raises(DcfmError, match=message) as error:
        load_config(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file():
    with pytest.raises(DcfmError, match="configuration 'nowhere.yaml' does not exist"):
        load_config("nowhere.yaml")


def test_overrides(tmp_path):
    path = written(tmp_path, MINIMAL + "optim: {lr: 1e-3}")
    overrides = [
        "optim.lr=2e-4",
        "train.0.root=/data",
        "loss.reused=0",
        "augment.crop=64x32",
        "steps=1e3",
        "train.0.options.drives=2",
    ]
    config = load_config(path, overrides)
    assert config.optim.lr == 2e-4 and config.train[0].root == "/data" and config.loss.reused == 0.0
    assert (
        config.augment.crop == (64, 32) and config.steps == 1000 and config.train[0].options == {"drives": 2}
    )
    for wrong, message in (
        ("lr", "'lr' is not of the form KEY=VALUE"),
        ("optim.rate=1", "unknown key 'optim.rate'"),
        ("train.3.root=x", "'train.3': '3' is not an index of a list of 1"),
        ("train.².root=x", "'train.²': '²' is not an index of a list of 1"),
        ("train." + "9" * 5000 + ".root=x", "is not an index of a list of 1"),
        ("steps=x", "steps is 'x'; expected a whole number"),
        ("steps=2020-99-99", "steps is .*not valid YAML"),
        ("steps=[", "steps is .*not valid YAML"),
    ):
        with pytest.raises(DcfmError, match=message):
            load_config(path, [wrong])


def test_what_is_written_down_reads_back_the_same(tmp_path):
    from dataclasses import asdict

    from dcfm_lab.learn.start import to_plain

    config = load_config(SHIPPED[0])
    text = yaml.safe_dump(to_plain(asdict(config)))
    assert load_config(written(tmp_path, text)) == config


def test_paths_are_filled_in(monkeypatch):
    monkeypatch.setenv("PLACE", "/data")
    monkeypatch.setenv("HOME", "/home/robot")
    monkeypatch.delenv("NOWHERE", raising=False)
    assert expanded("${PLACE}/camvid", "data_root") == Path("/data/camvid")
    assert expanded("~/.cache/x", "root") == Path("/home/robot/.cache/x")
    assert Path("/data") / expanded("~/x", "root") == Path("/home/robot/x")
    with pytest.raises(
        DcfmError, match=r"'data_root' is '\$\{NOWHERE\}/x', but the environment variable NOWHERE is not set"
    ):
        expanded("${NOWHERE}/x", "data_root")


# -- optimiser -------------------------------------------------------------------------------------------------


def test_rates_warm_up_and_decay():
    config = load_config(ROOT / "config" / "train" / "vspw_mit_b2.yaml")
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    schedule = Schedule(optimiser, config.steps, config.optim)
    assert schedule.rate(1.0, 0) == pytest.approx(1e-6)
    assert schedule.rate(1.0, 750) == pytest.approx(0.5, rel=0.01)
    assert schedule.rate(1.0, 80_000) == pytest.approx(0.5)
    assert schedule.rate(1.0, 160_000) == 0.0
    schedule.set(80_000)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.5)


def test_rates_end_at_the_lowest():
    config = load_config(ROOT / "config" / "train" / "cityscapes_resnet18.yaml")
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.01)
    schedule = Schedule(optimiser, config.steps, config.optim)
    assert schedule.rate(0.01, 0) == pytest.approx(0.01)
    assert schedule.rate(0.01, 80_000) == pytest.approx(1e-4)
    assert schedule.rate(0.01, 40_000) == pytest.approx(1e-4 + 0.0099 * 0.5**0.9)


def test_every_parameter_is_in_one_group_and_norms_do_not_decay():
    config = load_config(ROOT / "config" / "train" / "camvid_mobilenetv2.yaml")
    model = build_model(config.model)
    optimiser = build_optimiser(model, config.optim)
    grouped = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    rate = {id(p): (g["lr"], g["weight_decay"]) for g in optimiser.param_groups for p in g["params"]}
    assert rate[id(model.backbone.features[0][0].weight)] == pytest.approx((1.5e-3 * 0.25, 0.02))
    assert rate[id(model.backbone.features[0][1].weight)] == pytest.approx((1.5e-3 * 0.25, 0.0))
    assert rate[id(model.fusion.conv.weight)] == pytest.approx((1.5e-3, 0.02))
    assert rate[id(model.fusion.conv.bias)] == pytest.approx((1.5e-3, 0.0))
