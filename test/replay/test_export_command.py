"""`dcfm export` writes graphs that say what they are and compute what torch computes, and builds engines."""

import json

import cv2
import numpy as np
import pytest

from dcfm_ros.cli import main

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def weights(random_weights):
    return random_weights(0, config={"independent_feature": "stride4", "num_classes": 5})


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        picture = np.kron(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
        cv2.imwrite(str(folder / f"{i}.png"), picture)
    return folder


def test_graphs_with_their_metadata(weights, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        main(["export", str(weights), "-o", str(out), "--size", "96x64", "--calibrate", str(pictures)]) == 0
    )
    assert "100.000 % of the pixels as torch does, on 3 frames" in capsys.readouterr().out
    for name, inputs in (
        ("independent", ["image"]),
        ("common", ["independent"]),
        ("logits", ["common", "independent"]),
    ):
        session = onnxruntime.InferenceSession(str(out / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        assert [value.name for value in session.get_inputs()] == inputs
        properties = session.get_modelmeta().custom_metadata_map
        assert json.loads(properties["config"])["num_classes"] == 5
        assert len(json.loads(properties["card"])["classes"]) == 5
        assert json.loads(properties["input_size"]) == [96, 64]


def test_engines_are_built_ahead_of_time(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path / "cache"))
    arguments = ["export", str(weights), "--size", "96x64", "--engines", "onnxruntime", "--device", "cpu"]
    assert main(arguments) == 0
    assert "engine onnxruntime, fp32, cpu is ready for 96×64" in capsys.readouterr().out
    monkeypatch.setattr("dcfm_ros.engines.graph.engine.export_graphs", None)
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--engines vulkan", "engine is 'vulkan'; expected one of auto, torch"),
        ("--size big", "--size"),
        ("--calibrate /nowhere", "/nowhere does not exist"),
    ],
)
def test_wrong_arguments_are_plain_errors(weights, capsys, arguments, message):
    assert main(["export", str(weights), *arguments.split()]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--precision", "int8"), ("--device", "cuda")])
def test_what_says_nothing_of_onnx_files_is_refused(weights, tmp_path, capsys, words):
    assert main(["export", str(weights), "-o", str(tmp_path / "out"), *words]) == 2
    assert f"{words[0]} {words[1]} is for engines, and none is built here" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_int8_without_frames_says_what_it_needs(weights, tmp_path, monkeypatch, capsys):
    pytest.importorskip("openvino")
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path / "cache"))
    arguments = ["export", str(weights), "--size", "96x64", "--engines", "openvino", "--precision", "int8"]
    assert main(arguments) == 2
    assert "--calibrate" in capsys.readouterr().err


@pytest.mark.slow
def test_int8_calibrated_on_a_folder(weights, pictures, tmp_path, monkeypatch, capsys):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path / "cache"))
    arguments = ["export", str(weights), "--size", "96x64", "--engines", "openvino", "--precision", "int8"]
    assert main([*arguments, "--calibrate", str(pictures)]) == 0
    assert main(arguments) == 0  # the frames are not needed again
    assert capsys.readouterr().out.count("engine openvino, int8, cpu is ready") == 2
