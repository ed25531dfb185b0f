"""Settings, classes and results in text: what is valid comes back, and anything else is a clear refusal."""

import json
import math
from dataclasses import fields

import pytest
import yaml
from doors import answer, door
from hypothesis import strategies as st
from mutations import mutated

from dcfm_lab.learn.config import TrainConfig, load_config
from dcfm_lab.measure.result_file import load_result, read_json
from dcfm_ros.config import from_mapping, read_yaml
from dcfm_ros.files import strict_json
from dcfm_ros.model.classes import read_classes
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.groups import read_groups
from dcfm_ros.node.parameters import Configuration, configuration_of, table
from dcfm_ros.node.points.parameters import PointsConfig
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.trigger_grammar import in_words, parse_triggers
from dcfm_ros.strict_yaml import strict_yaml

NAMES = st.one_of(st.sampled_from([item.name for item in fields(TrainConfig)]), st.text(max_size=6))
# Texts that YAML takes for numbers, dates or references, or tries to.
ODD = st.sampled_from(
    (
        "0x" + "f" * 5000,
        "1" * 5000,
        "1:1:1",
        "2020-99-99",
        "!!int x",
        "!!float x",
        "!!timestamp x",
        "!!bool x",
        "0x_",
        "=",
    )
    + (
        "*a",
        "&a [*a]",
        "<<",
        "1e999",
        ".nan",
        "480x360",
        "9" * 5000 + "x3",
        "[" * 3000,
        "? [a]",
        "!!python/name:os.system",
    )
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from((10**400, -(10**400), 2**63, True)))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8), ODD)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
GROUPS = b"person: [pedestrian, bicyclist]\nsky: {classes: sky, drop: true, color: [1, 2, 3]}\nother: rest\n"
YAML = b"""
train: [{dataset: camvid, root: CamVid, options: {without: [a]}}, {dataset: street, share: 0.5}]
model: &m {backbone: mobilenetv2, num_classes: 11}
input_size: [480, 360]
optim: {lr: 1e-4, name: sgd}
augment: {crop: 64x48, scale: [0.5, 2]}
"""
LAUGHS = b"a: &a [x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in b"bcdefghijk"
)
MERGES = b"a: &a {x: 1}\n" + b"".join(
    b"%c: &%c {<<: [%s]}\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in b"bcdefghijk"
)
TEXTS = mutated(YAML, LAUGHS + b"train: *k\n", MERGES, b"road: [128, 64, 128]\nsky: [1, 2, 3]\n", GROUPS)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("settings") / "file.yaml"


@door(150, text=TEXTS, odd=st.one_of(st.none(), st.tuples(NAMES, ODD)))
def test_yaml_of_any_bytes(file, text, odd):
    extra = f"\n{odd[0]}: {odd[1]}\n".encode(errors="replace") if odd else b""
    file.write_bytes(text + extra)
    values = answer(read_yaml, file, "file")
    assert values is None or isinstance(values, dict)
    config = answer(load_config, file)
    assert config is None or config.train
    groups = answer(read_groups, file, ModelCard())
    assert groups is None or all(group.classes for group in groups.values())
    classes = answer(read_classes, file)
    assert classes is None or len(classes.names) == len(classes.colors)


@door(60, values=st.dictionaries(NAMES, VALUES, max_size=5))
def test_yaml_of_any_values(file, values):
    """What a YAML writer makes of them."""
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    answer(load_config, file)
    answer(read_classes, file)
    answer(read_groups, file, ModelCard())


@door(
    60,
    key=st.one_of(NAMES, st.from_regex(r"train(\.[\w.²]{0,6}){1,3}", fullmatch=True)),
    value=st.one_of(ODD, st.text(max_size=9)),
)
def test_overrides_of_any_text(file, key, value):
    file.write_bytes(YAML)
    answer(load_config, file, [f"{key}={value}"])


CONFIGS = (TrainConfig, StreamConfig, ModelConfig, ModelCard, PointsConfig)


@door(150, data=st.data(), cls=st.sampled_from(CONFIGS))
def test_dataclasses_of_any_values(data, cls):
    names = st.sampled_from([item.name for item in fields(cls)])
    values = data.draw(st.dictionaries(names, VALUES, max_size=3))
    values |= {"train": [{"dataset": "camvid"}]} if cls is TrainConfig and data.draw(st.booleans()) else {}
    config = answer(from_mapping, cls, values)
    assert (
        config is None
        or from_mapping(cls, {item.name: getattr(config, item.name) for item in fields(cls)}) == config
    )


WORDS = st.sampled_from(("interval", "time", "motion", "odometry", "disagreement", "max_age", "x", ""))
TRIGGERS = st.lists(
    st.builds(
        "{}:{}{}".format,
        WORDS,
        st.one_of(st.integers(-1, 50), st.floats(), ODD),
        st.sampled_from(("", "m", "deg", "ms", "+")),
    ),
    max_size=3,
).map("+".join)


@door(100, text=st.one_of(TRIGGERS, st.text(max_size=12)))
def test_triggers_of_any_words(text):
    values = answer(parse_triggers, text)
    assert values is None or in_words(StreamConfig(**values))


PARAMETERS = {parameter.name: parameter for parameter in table()}
RANGED = [name for name, each in PARAMETERS.items() if type(each.ros_default) in (int, float)]
LISTS = st.one_of(
    st.lists(st.integers(), max_size=3),
    st.lists(st.floats(), max_size=3),
    st.lists(st.text(max_size=5), max_size=3),
)


@door(
    150,
    values=st.dictionaries(
        st.sampled_from([*PARAMETERS, "x"]), st.one_of(SCALARS, LISTS, st.binary(max_size=3)), max_size=3
    ),
)
def test_parameters_of_any_values(values):
    configuration = answer(configuration_of, values)
    assert configuration is None or isinstance(configuration, Configuration)


@door(100, name=st.sampled_from(RANGED), share=st.floats(0, 1))
def test_parameters_within_their_range(name, share):
    """Every value that the range says is possible, alone, is taken; none beyond it."""
    metadata = PARAMETERS[name].field.metadata
    kind, low, high = type(PARAMETERS[name].ros_default), metadata["low"], metadata["high"]
    value = kind(low + share * (high - low))
    got = answer(configuration_of, {name: value})
    assert got is None or got.values[name] == value
    assert (
        answer(configuration_of, {name: high + 1}) is None
        and answer(configuration_of, {name: low - 1}) is None
    )


@door(
    100,
    data=st.one_of(
        mutated(b'{"a": [1, 2.5, {"b": null}], "c": "\\u00fc\\ud800"}', b"\xff\xfe{\0}\0"),
        st.binary(max_size=40),
    ),
)
def test_json_of_any_bytes(file, data):
    file.write_bytes(data)
    values = answer(read_json, file)
    json.dumps(values, allow_nan=False)
    answer(load_result, ModelConfig, file, "x", "dcfm")


TEXT = st.text(st.sampled_from("aZ09 .-+~:#&*!|>%@{}[],'\"\\?<=ä→"), max_size=8)
PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXT,
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@door(100, values=PLAIN)
def test_json_of_known_values_which_is_yaml_too(values):
    assert strict_json(json.dumps(values)) == values
    assert strict_yaml(json.dumps(values, ensure_ascii=False)) == values


@door(100, number=st.floats(), name=st.text(max_size=5))
def test_json_has_no_other_numbers(number, name):
    got = answer(strict_json, json.dumps({name: number}), error=ValueError)
    assert got == ({name: number} if math.isfinite(number) else None)
