"""What is written about the parameters is what the code says."""

import importlib.util
import re

import pytest
import yaml

from dcfm_ros.node.parameters import table
from dcfm_ros.share import share_path


@pytest.fixture
def parameter_docs(pytestconfig):
    """The tool that writes them."""
    path = pytestconfig.rootpath / "tools" / "parameter_docs.py"
    if not path.is_file():
        pytest.skip("no tools/ beside the tests")
    spec = importlib.util.spec_from_file_location("parameter_docs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_parameters_file_is_current(parameter_docs):
    written = share_path("config", "dcfm.yaml").read_text(encoding="utf-8")
    assert written == parameter_docs.yaml(), "run: python tools/parameter_docs.py yaml > config/dcfm.yaml"


def test_the_parameters_file_holds_every_default():
    content = yaml.safe_load(share_path("config", "dcfm.yaml").read_text(encoding="utf-8"))
    values = content["/**"]["ros__parameters"]
    assert values == {parameter.name: parameter.ros_default for parameter in table()}


def test_the_documentations_table_is_current(pytestconfig, parameter_docs):
    path = pytestconfig.rootpath / "docs" / "node.md"
    if not path.is_file():
        pytest.skip("no docs/node.md beside the tests")
    text = path.read_text(encoding="utf-8")
    assert parameter_docs.with_tables(text) == text, "run: python tools/parameter_docs.py docs/node.md"


def test_the_node_starts_with_the_parameters_file(graph, weights, tmp_path):
    """Every value as it is in the file, but for the weights: they may not be there."""
    from rclpy.parameter import Parameter

    from dcfm_ros.node.node import DcfmNode

    text = share_path("config", "dcfm.yaml").read_text(encoding="utf-8")
    path = tmp_path / "dcfm.yaml"
    path.write_text(re.sub(r'weights: ""', f'weights: "{weights}"', text), encoding="utf-8")
    node = DcfmNode(
        namespace=graph.namespace,
        cli_args=["--ros-args", "--params-file", str(path)],
        parameter_overrides=[Parameter("autostart", value=False)],
    )
    assert node.parameters.configuration.node.weights == str(weights)
    defaults = {parameter.name: parameter.ros_default for parameter in table()}
    for name in defaults.keys() - {"weights", "autostart"}:
        value = node.get_parameter(name).value
        assert (list(value) if isinstance(defaults[name], list) else value) == defaults[name], name
    node.close()
