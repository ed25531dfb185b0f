"""Published checkpoints: names, shapes, and `dcfm convert` on real files."""

import argparse
import json

import pytest
import torch

from dcfm_lab.commands import convert
from dcfm_lab.learn.published import KEYS, from_published, infer_config, published_config
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.dcfm import build_model

CASES = ("mitb0_camvid", "mitb0_vit3_head2", "mitb1_cityscapes", "pspnet18_cityscapes")


@pytest.fixture(scope="module", params=CASES)
def published(request, reference_root):
    """(config, encoder, decoder) with random tensors of the published names and shapes."""
    config = json.loads((reference_root / "cases" / f"{request.param}.json").read_text())
    torch.manual_seed(0)
    return config, *(
        {
            name: torch.zeros((), dtype=torch.long) if name.endswith("tracked") else torch.rand(shape)
            for name, shape in config["tensors"][part].items()
        }
        for part in ("encoder", "decoder")
    )


def test_the_configuration_is_read_off_the_shapes(published):
    config, encoder, decoder = published
    inferred = infer_config(encoder, decoder)
    # With no "conv" classifier `head_ch` leaves no trace and has no effect; the early feature leaves none at all.
    silent = {"independent_feature"} | ({"head_ch"} if config["head_nums"] < 2 else set())
    assert {key: inferred[key] for key in KEYS if key not in silent} == {
        key: config[key] for key in KEYS if key not in silent
    }


def test_names_load_with_and_without_the_prefix(published):
    config, encoder, decoder = published
    bare = [
        {name.removeprefix("module."): value for name, value in part.items()} for part in (encoder, decoder)
    ]
    with_prefix, without = from_published(encoder, decoder, config), from_published(*bare, config)
    for name, value in with_prefix.state_dict().items():
        assert torch.equal(value, without.state_dict()[name]), name
    assert not with_prefix.training


def arguments(tmp_path, *options):
    parser = argparse.ArgumentParser()
    convert.configure(parser)
    return parser.parse_args(
        [str(tmp_path / "encoder_epoch_1.pth"), str(tmp_path / "decoder_epoch_1.pth"), *options]
    )


def test_convert_writes_one_file_that_says_everything(published, tmp_path, capsys):
    config, encoder, decoder = published
    torch.save(encoder, tmp_path / "encoder_epoch_1.pth")
    torch.save(decoder, tmp_path / "decoder_epoch_1.pth")
    output = tmp_path / "out.safetensors"
    options = ["-o", str(output), "--input-size", "1024x512", "--licence", "CC0"]
    feature = config["independent_feature"]
    assert convert.run(arguments(tmp_path, *options, "--independent-feature", feature)) == 0
    model = load_model(output)
    expected = from_published(encoder, decoder, config)
    assert model.card.input_size == (1024, 512) and model.card.licence == "CC0"
    assert model.config.num_classes == len(model.card.classes) == config["num_classes"]
    assert model.config.independent_feature == expected.config.independent_feature
    for name, value in expected.state_dict().items():
        if not name.endswith("tracked"):
            assert torch.equal(value, model.state_dict()[name]), name
    assert "backbone" in capsys.readouterr().out


def test_swapped_files_are_refused(published, tmp_path):
    _, encoder, decoder = published
    with pytest.raises(DcfmError, match="encoder_epoch_N.pth and decoder_epoch_N.pth"):
        infer_config({}, decoder)
    with pytest.raises(DcfmError, match="which no known encoder has"):
        from_published(decoder, encoder, published[0])


@pytest.mark.parametrize("depth", [18, 50, 101])
def test_every_resnet_round_trips_through_its_shapes(depth):
    assert _round_trip({"backbone": f"pspnet{depth}", "independent_feature": "layer1", "high_level_ch": 0})


@pytest.mark.parametrize("size", range(6))
@pytest.mark.parametrize("feature", ["vit0", "vit1", "vit3"])
def test_every_mit_is_known(size, feature):
    config = published_config(_config(backbone=f"segformerb{size}", independent_feature=feature))
    assert config.backbone == f"mit_b{size}"


def _config(**values):
    base = {
        "num_classes": 19,
        "head_nums": 1,
        "head_ch": 256,
        "high_level_ch": 256,
        "bot_ch": -1,
        "stage1_ch": 32,
    }
    return {**base, **values}


def _round_trip(values):
    config = _config(**values)
    config["high_level_ch"] = 1024 if config["backbone"] == "pspnet18" else 4096
    config["bot_ch"] = 64
    encoder, decoder = to_published(build_model(published_config(config)).state_dict())
    return infer_config(encoder, decoder)["backbone"] == config["backbone"]


def to_published(state):
    """Our ResNet tensors under their published names."""
    encoder, decoder = {}, {}
    for name, value in state.items():
        if name.startswith("backbone.stem."):
            encoder[name.replace("stem", "layer0")] = value
        elif name.startswith("backbone."):
            encoder[name] = value
        elif name.startswith(("head.convs.", "head.norms.")):
            _, kind, index, rest = name.split(".", 3)
            encoder[f"backbone.ppm.features.{index}.{1 if kind == 'convs' else 2}.{rest}"] = value
        else:
            for ours, theirs in (("reduce", "bot_aspp"), ("fusion", "ffm.convblk"), ("classifier", "final")):
                if name.startswith(ours):
                    decoder[name.replace(ours, theirs, 1)] = value
    return encoder, decoder


def test_a_misshapen_tensor_is_named_with_both_shapes(published):
    config, encoder, decoder = published
    wrong = {**decoder, "module.ffm.convblk.conv.bias": torch.zeros(7)}
    with pytest.raises(DcfmError, match=r"'fusion\.conv\.bias'.*\(7,\).*this model needs"):
        from_published(encoder, wrong, config)


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(key):
    config = _config(backbone="segformerb0", independent_feature="vit1")
    del config[key]
    with pytest.raises(DcfmError, match=f"lacks '{key}'"):
        published_config(config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbone": "vgg"}, "backbone = 'vgg'; known: segformerb0"),
        ({"head_nums": 3}, "head_nums = 3; known: 0, 1, 2"),
        ({"independent_feature": "vit2"}, "independent_feature = 'vit2'"),
    ],
)
def test_unknown_values_are_named(values, message):
    with pytest.raises(DcfmError, match=message):
        published_config({**_config(backbone="segformerb0", independent_feature="vit1"), **values})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "camvid"], "names 11 classes, the checkpoint has 19"),
        (["--classes", "nowhere.json"], "file of classes 'nowhere.json' cannot be read"),
        (["--input-size", "big"], "expected WIDTHxHEIGHT"),
    ],
)
def test_wrong_options_are_named(options, message, tmp_path, reference_root):
    config = json.loads((reference_root / "cases" / "mitb0_vit3_head2.json").read_text())
    for part in ("encoder", "decoder"):
        tensors = {name: torch.rand(shape) for name, shape in config["tensors"][part].items()}
        torch.save(tensors, tmp_path / f"{part}_epoch_1.pth")
    with pytest.raises(DcfmError, match=message):
        convert.run(arguments(tmp_path, "-o", str(tmp_path / "x.safetensors"), *options))


def test_the_output_must_be_a_safetensors_file(tmp_path):
    with pytest.raises(DcfmError, match="ends in .safetensors"):
        convert.run(arguments(tmp_path, "-o", str(tmp_path / "x.pth")))
