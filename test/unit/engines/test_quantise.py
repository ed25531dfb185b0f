"""Graphs with some blocks in int8, and what those cost in labels."""

import pytest
from conftest import SIZE

from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.graph.export import GRAPHS, export_graphs

openvino = pytest.importorskip("openvino")
pytest.importorskip("nncf")

from dcfm_ros.engines.graph.openvino import OpenVinoLibrary  # noqa: E402
from dcfm_ros.engines.graph.openvino_cut import cut, multiplications  # noqa: E402
from dcfm_ros.engines.graph.quantise import Quantiser, quantise  # noqa: E402


@pytest.fixture(scope="module")
def library():
    return OpenVinoLibrary(EngineConfig(engine="openvino", device="cpu"))


@pytest.fixture(scope="module")
def graphs(model, library, tmp_path_factory):
    paths = export_graphs(model, SIZE, tmp_path_factory.mktemp("graphs"))
    return library.models(paths, rows=-(-SIZE[1] // 4))


@pytest.fixture(scope="module")
def compiled(library):
    return lambda name, model: library._compiled(model, 1, name)


@pytest.fixture(scope="module")
def quantiser(graphs, frames, compiled):
    return Quantiser(openvino, graphs, frames, compiled)


def int8_layers(model):
    """Names of the convolutions and products that read quantised numbers."""
    return {
        node.get_friendly_name()
        for node in model.get_ops()
        if multiplications(node) and node.input_value(0).get_node().get_type_name() == "FakeQuantize"
    }


def test_blocks_are_the_networks_first_level(quantiser):
    assert {"features.0", "features.4", "features.17", "head", "common_half"} <= set(quantiser.work)
    assert "" not in quantiser.work and all(count > 0 for count in quantiser.work.values())


def test_the_work_of_a_block_is_its_multiplications(quantiser):
    height, width = SIZE[1] // 2, SIZE[0] // 2
    assert quantiser.work["features.0"] == 32 * height * width * 3 * 3 * 3
    depthwise, pointwise = 32 * 9, 32 * 16
    assert quantiser.work["features.1"] == height * width * (depthwise + pointwise)


def test_only_the_blocks_asked_for_are_in_int8(quantiser):
    layers = int8_layers(quantiser.model("independent", {"features.1", "head"}))
    assert layers and all(name.startswith("/features.1/") for name in layers)
    assert not int8_layers(quantiser.model("independent", {"head"}))
    assert any(name.startswith("/head/") for name in int8_layers(quantiser.model("common", {"head"})))


def test_agreement_is_that_of_labels(quantiser):
    assert quantiser.agreement(()) > 0.9999
    everything = quantiser.agreement(quantiser.work)
    assert 0.5 < everything < 1
    assert quantiser.agreement({"features.16"}) > everything


def test_one_frame_is_enough(graphs, frames, compiled):
    assert Quantiser(openvino, graphs, frames[:1], compiled).agreement(()) > 0.9999


def test_pieces_compute_in_int8_what_the_whole_graph_does(quantiser, compiled, tmp_path):
    file = str(tmp_path / "common.xml")
    openvino.save_model(quantiser.model("common", quantiser.work), file, compress_to_fp16=False)
    whole = openvino.Core().read_model(file)

    def in_int8(models):
        return sum(
            node.get_rt_info()["runtimePrecision"].value in ("u8", "i8")
            for model in models
            for node in compiled("common", model)._compiled.get_runtime_model().get_ops()
            if node.get_rt_info()["layerType"].value == "Convolution"
        )

    pieces = [piece.graph for piece in cut(whole, 8)]
    assert len(pieces) > 2 and in_int8([whole]) > 20
    # One whose quantised input other convolutions read, too, may be a piece later than what quantises it.
    assert in_int8(pieces) > 0.9 * in_int8([whole])


def test_blocks_that_cost_labels_stay_as_they_are_and_are_named(
    graphs, frames, compiled, tmp_path, monkeypatch, caplog
):
    def agreement(self, blocks):
        return 0.9 if "features.0" in blocks else 1.0

    monkeypatch.setattr(Quantiser, "agreement", agreement)
    quantise(openvino, graphs, tmp_path, frames, compiled)
    assert caplog.records[-1].getMessage().startswith("calibrating the graph 'logits'")
    assert "not in int8, to keep the labels: features.0" in caplog.messages
    core = openvino.Core()
    for name in GRAPHS:
        layers = int8_layers(core.read_model(str(tmp_path / f"{name}.xml")))
        assert not any(layer.startswith("/features.0/") for layer in layers)
        assert any(layer.startswith("/features.2/") for layer in layers) == (name == "independent")
