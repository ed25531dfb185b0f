"""Weights files: what was saved comes back, and what is damaged or makes no sense is refused before it takes memory."""

import functools
import io
import json
import struct
from dataclasses import fields

import pytest
import torch
from doors import answer, door
from hypothesis import strategies as st
from mutations import mutated

from dcfm_lab.learn.foreign_weights import read_tensors
from dcfm_ros.model.checkpoint import FORMAT, load_model
from dcfm_ros.model.config import ModelCard, ModelConfig, to_json
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.model.safetensors_file import read_safetensors, write_safetensors

SIZES = st.one_of(
    st.integers(-1, 4), st.sampled_from((2**31 - 1, 2**31, 2**62, 2**63, 10**30, 1.5, "3", None, True))
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(("F32", "F16", "BF16", "BOOL", "I64", "U8", "F4", "", None, 3, ["F32"])),
        "shape": st.one_of(st.lists(SIZES, max_size=9), st.sampled_from((None, "12", {}))),
        "data_offsets": st.one_of(st.lists(SIZES, min_size=2, max_size=2), st.lists(SIZES, max_size=3)),
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(("a", "b", "__metadata__", "\x1b[2J")), st.one_of(ENTRIES, st.none(), SIZES), max_size=3
)
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8)


def packed(tensors, metadata):
    file = io.BytesIO()
    write_safetensors(file, tensors, metadata)
    return file.getvalue()


SMALL = packed(
    {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int64)}, {"format": FORMAT}
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("weights") / "model.safetensors"


@door(200, data=mutated(SMALL))
def test_weights_files_of_any_bytes(file, data):
    file.write_bytes(data)
    answer(read_safetensors, file, error=ValueError)
    answer(read_tensors, file)
    assert answer(load_model, file) is None


def published():
    file = io.BytesIO()
    torch.save({"state_dict": {"a": torch.arange(6.0), "b": torch.ones(2, 2).half()}}, file)
    return file.getvalue()


@door(100, data=mutated(published()))
def test_published_files_of_any_bytes(file, data):
    path = file.with_suffix(".pth")
    path.write_bytes(data)
    tensors = answer(read_tensors, path)
    assert tensors is None or all(isinstance(each, torch.Tensor) for each in tensors.values())


@door(200, header=HEADERS, data=st.binary(max_size=24))
def test_headers_of_any_entries(file, header, data):
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)
    read = answer(read_safetensors, file, error=ValueError)
    assert read is None or sum(tensor.nbytes for tensor in read[0].values()) == len(data)


@door(
    100,
    shapes=st.dictionaries(st.text(max_size=5), st.lists(st.integers(0, 3), max_size=4), max_size=4),
    dtype=st.sampled_from(DTYPES),
)
def test_known_tensors(file, shapes, dtype):
    shapes.pop("__metadata__", None)
    tensors = {name: torch.full(shape, 3, dtype=dtype) for name, shape in shapes.items()}
    file.write_bytes(packed(tensors, shapes and {"who": "we"}))
    read, _ = read_safetensors(file)
    assert read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in tensors)


@functools.cache
def whole():
    """A small model's tensors, configuration and card."""
    config, card = ModelConfig(num_classes=2), ModelCard(classes=("a", "b"), colors=((1, 2, 3), (4, 5, 6)))
    state = {name: value for name, value in build_model(config, card).state_dict().items() if value.ndim}
    return state, config, card


NUMBERS = st.one_of(st.integers(-3, 300), st.floats(), st.sampled_from((4096, 10**5, 2**31, 10**30)))
FIELD = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.text(max_size=5),
    st.sampled_from(
        ("linear", "mlp", "conv", "plain", "flow", "mobilenetv2", "mit_b0", "resnet18", "first_block")
    ),
    st.lists(st.one_of(NUMBERS, st.text(max_size=3)), max_size=3),
)


COUNTS = st.sampled_from(
    ("num_classes", "independent_channels", "deep_channels", "common_channels", "classifier_channels")
)
CHANNELS = st.one_of(st.integers(-2, 2), st.sampled_from((300, 5000, 10**5, 2**31, 10**30)))


def changes_of(cls):
    return st.dictionaries(st.sampled_from([item.name for item in fields(cls)]), FIELD, max_size=2)


@door(
    40,
    config=st.one_of(changes_of(ModelConfig), st.dictionaries(COUNTS, CHANNELS, min_size=1, max_size=1)),
    card=st.one_of(st.just({}), changes_of(ModelCard)),
)
def test_models_of_any_configuration(file, config, card):
    """A model that loads segments, whatever its file says of it."""
    state, own_config, own_card = whole()
    metadata = {
        "format": FORMAT,
        "config": json.dumps(json.loads(to_json(own_config)) | config),
        "card": json.dumps(json.loads(to_json(own_card)) | card),
    }
    file.write_bytes(packed(state, metadata))
    model = answer(load_model, file)
    assert model is not None or config or card
    if model is not None:
        picture = torch.zeros(1, 3, 64, 64)
        independent = model.encode_independent(picture)
        assert model.logits(model.encode_common(picture, independent), independent).shape[1] == 2
