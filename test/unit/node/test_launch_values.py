"""Arguments of the launch files: the node's parameters with their defaults, read as the node reads them."""

import pytest
import yaml

from dcfm_ros.config import truth
from dcfm_ros.errors import DcfmError
from dcfm_ros.node.arguments import (
    file_parameters,
    given_parameters,
    parameter_arguments,
    parameter_files,
)
from dcfm_ros.node.parameters import configuration_of, table


def test_every_parameter_is_an_argument():
    arguments = parameter_arguments()
    assert list(arguments) == [parameter.name for parameter in table()]
    assert arguments["key_period_ms"] == (
        "1000.0",
        "parameter: refresh after this much message time, ms; 0: off (0 to 1e+09)",
    )
    assert (arguments["image_topics"][0], arguments["autostart"][0]) == ("[image]", "true")


def test_the_defaults_that_are_shown_are_the_real_ones():
    shown = given_parameters({name: default for name, (default, _) in parameter_arguments().items()})
    assert shown == {parameter.name: parameter.ros_default for parameter in table()}
    assert configuration_of(shown) == configuration_of({})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("weights", "/front/model, v2", "/front/model, v2"),
        ("image_topics", "[/front/image, /rear/image]", ["/front/image", "/rear/image"]),
        ("image_topics", "/image", ["/image"]),
        ("max_age_ms", "2", 2.0),
        ("max_age_ms", "1e3", 1000.0),
        ("autostart", "yes", True),
        ("autostart", "Off", False),
        ("input_size", "480x360", [480, 360]),
        ("input_size", "[480, 360]", [480, 360]),
        ("mask_size", "network", "network"),
        ("mask_size", "80x48", [80, 48]),
    ],
)
def test_values_have_the_type_of_their_parameter(name, text, value):
    (result,) = given_parameters({name: text, "odom": "/odom"}).values()
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("threads", "many", "threads is 'many'; expected a whole number from 0 to 256"),
        ("autostart", "ture", "autostart is 'ture'; expected true or false"),
        ("engine", "vulkan", "engine is 'vulkan'; expected one of auto, torch"),
        ("background", "process", "background 'process' was removed; use 'slices' or 'thread'"),
        ("image_topics", "[/front", "image_topics is .*not valid YAML"),
    ],
)
def test_values_that_make_no_sense_are_named(name, text, message):
    with pytest.raises(DcfmError, match=message):
        given_parameters({name: text})


def test_switches_are_true_or_false_and_nothing_else():
    assert [truth(text, "rviz") for text in ("true", "True", "yes", "on", "1")] == [True] * 5
    assert [truth(text, "rviz") for text in ("false", "no", "OFF", "0")] == [False] * 4
    for text in ("", "ture", "2"):
        with pytest.raises(DcfmError, match=f"rviz is '{text}'; expected true or false"):
            truth(text, "rviz")


def test_a_parameters_file_must_exist(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parameter_files("") == [] and parameter_files(str(path)) == [str(path)]
    assert parameter_files("~/mine.yaml") == [str(path)]
    with pytest.raises(DcfmError, match="params_file 'nowhere.yaml' does not exist"):
        parameter_files("nowhere.yaml")


@pytest.mark.parametrize(
    ("key", "applies"),
    [
        ("/**", True),
        ("/robot/eyes", True),
        ("/robot/*", True),
        ("/*", False),
        ("/eyes", False),
        ("/**/eyes", True),
        ("/robotics/eyes", False),
        ("robot", False),
    ],
)
def test_a_parameters_file_is_read_for_the_nodes_that_it_names(tmp_path, key, applies):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({key: {"ros__parameters": {"threads": 3}}}))
    assert file_parameters([str(file)], "/robot/eyes") == ({"threads": 3} if applies else {})


def test_a_parameters_file_may_nest_namespaces_and_must_be_yaml(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("robot:\n  eyes:\n    ros__parameters: {threads: 3}\n")
    assert file_parameters([str(file)], "/robot/eyes") == {"threads": 3}
    for text in ("robot: [", "robot: &a {b: *a}", "robot: !!int x"):
        file.write_text(text)
        with pytest.raises(DcfmError, match=r"mine.yaml' cannot be read"):
            file_parameters([str(file)], "/robot/eyes")
