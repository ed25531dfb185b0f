"""Weights files: what is written is read, and what is wrong is said."""

import json
import os
import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file

from dcfm_lab.learn.foreign_weights import read_tensors
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import load_model, save_model
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.model.safetensors_file import read_safetensors


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model(
        ModelConfig(num_classes=3), ModelCard(classes=("a", "b", "c"), colors=((1, 2, 3),) * 3)
    )


@pytest.fixture
def weights(model, tmp_path):
    save_model(model, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_saved_model_comes_back_whole(model, weights):
    loaded = load_model(weights)
    assert loaded.config == model.config and loaded.card == model.card
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_half_precision_is_half_the_size_and_loads_as_float32(model, weights, tmp_path):
    save_model(model, tmp_path / "half.safetensors", half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * weights.stat().st_size
    assert {p.dtype for p in load_model(tmp_path / "half.safetensors").parameters()} == {torch.float32}


def test_no_partial_file_is_left_beside_the_weights(weights):
    assert [path.name for path in weights.parent.iterdir()] == ["model.safetensors"]


def tamper(weights, change):
    """Rewrites the file with its tensors changed by `change`."""
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        metadata = file.metadata()
    tensors = read_tensors(weights)
    change(tensors)
    save_file(tensors, weights, metadata)


def test_a_misshapen_tensor_is_named_with_both_shapes(weights):
    tamper(weights, lambda tensors: tensors.update({"classifier.1.weight": torch.zeros(4, 96, 1, 1)}))
    with pytest.raises(DcfmError, match=r"classifier\.1\.weight.*\(4, 96, 1, 1\).*\(3, 96, 1, 1\)"):
        load_model(weights)


def test_a_missing_tensor_is_named(weights):
    tamper(weights, lambda tensors: tensors.pop("fusion.conv.bias"))
    with pytest.raises(DcfmError, match=r"lacks tensor 'fusion\.conv\.bias'"):
        load_model(weights)


def test_a_surplus_tensor_is_named(weights):
    tamper(weights, lambda tensors: tensors.update(extra=torch.zeros(1)))
    with pytest.raises(DcfmError, match="'extra' unknown"):
        load_model(weights)


def test_numbers_that_are_not_finite_are_refused(weights):
    tamper(weights, lambda tensors: tensors["fusion.conv.bias"].fill_(float("nan")))
    with pytest.raises(DcfmError, match=r"fusion\.conv\.bias.*not finite"):
        load_model(weights)


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_truncated_file_is_refused(weights, keep):
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(DcfmError, match="damaged"):
        load_model(weights)


def test_a_header_that_claims_the_whole_memory_is_refused(weights):
    weights.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(DcfmError, match="damaged"):
        load_model(weights)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(DcfmError, match="does not exist"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(DcfmError, match="is a folder"):
        load_model(tmp_path)


def test_foreign_safetensors_are_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(DcfmError, match="carries no dcfm_ros configuration"):
        load_model(tmp_path / "x.safetensors")


def test_an_unknown_key_in_the_configuration_is_named(weights):
    save_file(
        read_tensors(weights), weights, {"format": "dcfm_ros 1", "config": '{"colour": 1}', "card": "{}"}
    )
    with pytest.raises(DcfmError, match="unknown key 'colour'; known: backbone"):
        load_model(weights)


@pytest.mark.parametrize(
    ("card", "why"),
    [
        ({"std": [0, 1, 1]}, "expected finite numbers"),
        ({"std": [-0.2, 0.2, 0.2]}, "expected finite numbers"),
        ({"mean": [1e999, 0, 0]}, "Infinity is not a number of JSON"),
        ({"classes": ["a", "a", "b"]}, "empty or given twice: 'a'"),
        ({"classes": ["a", " ", "b"]}, "empty or given twice"),
        ({"colors": [[0, 0, 256]] * 3}, "256"),
        ({"colors": [[0, 0, 0.5]] * 3}, "0.5"),
        ({"input_size": [0, 10]}, "from 1 to"),
        ({"input_size": [480, 10**9]}, "to 16384"),
        ({"align": "maybe"}, "maybe"),
        ({"name": 3}, "name"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(model, weights, card, why):
    metadata = read_safetensors(weights)[1]
    metadata["card"] = json.dumps(json.loads(metadata["card"]) | card)
    save_file(read_tensors(weights), weights, metadata)
    with pytest.raises(DcfmError, match=why):
        load_model(weights)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"deep_channels": -1}, "deep_channels is -1; expected a whole number from 0 to 4096"),
        ({"deep_channels": 10**9}, "deep_channels is 1000000000; expected"),
        ({"common_channels": 10**6}, "common_channels is 1000000; expected"),
        ({"independent_channels": -2}, "independent_channels is -2; expected"),
        ({"independent_channels": 999}, "independent_channels is 999; the independent feature '.*' has "),
        ({"classifier": "conv", "classifier_channels": 0}, "classifier_channels is 0; expected"),
        ({"drop_path": 7.0}, "drop_path is 7.0; expected a number from 0 to 0.9"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(weights, config, why):
    metadata = read_safetensors(weights)[1]
    metadata["config"] = json.dumps(json.loads(metadata["config"]) | config)
    save_file(read_tensors(weights), weights, metadata)
    with pytest.raises(DcfmError, match=why):
        load_model(weights)


@pytest.mark.parametrize("part", ["config", "card"])
@pytest.mark.parametrize(
    ("text", "why"),
    [("[" * 100_000, "nested too deeply"), ('{"name": "a", "name": "b"}', "given twice"), ("[]", "")],
)
def test_json_that_makes_no_sense_is_refused(weights, part, text, why):
    metadata = read_safetensors(weights)[1] | {part: text}
    save_file(read_tensors(weights), weights, metadata)
    with pytest.raises(DcfmError, match=f"cannot be read.*{why}"):
        load_model(weights)


def test_whole_numbers_as_weights_are_refused(weights):
    tamper(weights, lambda tensors: tensors.update({name: value.int() for name, value in tensors.items()}))
    with pytest.raises(DcfmError, match=r"of type torch\.int32, this model needs torch\.float32"):
        load_model(weights)


def test_negative_variances_are_refused(weights):
    def change(tensors):
        tensors["fusion.norm.running_var"][3] = -1e-3

    tamper(weights, change)
    with pytest.raises(DcfmError, match=r"negative variances in tensor 'fusion\.norm\.running_var'"):
        load_model(weights)


def test_saving_follows_no_link_and_waits_for_no_pipe(model, tmp_path):
    target = tmp_path / "other"
    target.write_text("mine")
    (tmp_path / "m.safetensors.partial").symlink_to(target)
    os.mkfifo(tmp_path / "n.safetensors.partial")
    for name in ("m", "n"):
        save_model(model, tmp_path / f"{name}.safetensors")
        assert load_model(tmp_path / f"{name}.safetensors").config == model.config
    assert target.read_text() == "mine"


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def test_a_malicious_file_does_not_run(tmp_path):
    target = tmp_path / "ran"
    torch.save({"module.x": Bomb(target)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"module.x": Bomb(target)}))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(DcfmError, match="could run code"):
            read_tensors(tmp_path / name)
        with pytest.raises(DcfmError) as caught:
            read_tensors(tmp_path / name)
        assert "weights_only" not in str(caught.value) and "\n" not in str(caught.value)
    assert not target.exists()


def test_a_file_of_other_things_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DcfmError, match="holds a list"):
        read_tensors(tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "epoch.pth")
    with pytest.raises(DcfmError, match="holds a int as 'epoch'"):
        read_tensors(tmp_path / "epoch.pth")


def test_wrapped_training_files_are_unwrapped(tmp_path):
    torch.save({"epoch": 3, "state_dict": {"x": torch.ones(2)}}, tmp_path / "wrapped.pth")
    assert torch.equal(read_tensors(tmp_path / "wrapped.pth")["x"], torch.ones(2))
