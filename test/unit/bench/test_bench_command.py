"""`dcfm bench` end to end, on a model and a size so small that nothing takes long."""

import pytest
import torch

from dcfm_lab.bench.result import FORMAT, Report
from dcfm_lab.measure.result_file import load_result
from dcfm_ros import cli
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model

pytest.importorskip("numba")  # draws the frames


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(build_model(ModelConfig(num_classes=4)), path)
    return str(path)


def only_part(path):
    (part,) = load_result(Report, path, FORMAT, "dcfm bench --json").parts
    return part


def test_a_model_is_measured_told_and_written(weights, tmp_path, capsys):
    out = tmp_path / "out.json"
    arguments = ["--size", "64x48", "--engines", "torch", "--precisions", "fp32,int8", "--seconds", "0.1"]
    assert cli.main(["bench", "--weights", weights, *arguments, "--json", str(out)]) == 0
    part = only_part(out)
    (case,) = part.cases
    ours, missing = case.rows
    assert (case.size, case.classes, case.weights) == ((64, 48), 4, "small.safetensors")
    assert ours.other_ratio.median == 1
    assert ours.agreement >= 0.999 and set(ours.other_stages) == {
        "preprocess",
        "align",
        "independent",
        "fuse",
        "label_map",
    }
    assert ours.other.q1 <= ours.other.median <= ours.other.q3 and ours.other.count == case.rounds >= 5
    assert [item.interval for item in ours.amortised] == [1, 2, 5, 10, 20]
    assert missing.skipped and missing.key is None
    assert part.machine["Compute threads"] and weights not in part.command
    told = capsys.readouterr().out
    assert "Fastest here: torch fp32" in told and "not measured: torch int8" in told
    assert part.command == (
        "dcfm bench --weights small.safetensors --size 64x48 --engines torch --precisions fp32,int8 --seconds 0.1"
    )


def test_what_is_measured_stands_beside_plain_torch(weights, tmp_path):
    pytest.importorskip("onnxruntime")
    out = tmp_path / "out.json"
    arguments = ["--size", "64x48", "--engines", "onnxruntime", "--precisions", "fp32", "--seconds", "0.1"]
    assert cli.main(["bench", "--weights", weights, *arguments, "--json", str(out)]) == 0
    reference, ours = only_part(out).cases[0].rows
    assert (reference.engine, reference.precision) == ("torch", "fp32") and reference.key_ratio.median == 1
    assert ours.engine == "onnxruntime" and ours.agreement >= 0.999 and ours.key_ratio.median != 1


def test_a_network_that_cannot_be_compiled_is_not_measured_as_one_that_was(
    weights, tmp_path, monkeypatch, capsys
):
    def refuse(plain, **_):
        def function(*_):
            raise RuntimeError("no C++ compiler")

        return function

    monkeypatch.setattr(torch, "compile", refuse)
    out = tmp_path / "out.json"
    arguments = ["--size", "64x48", "--engines", "torch", "--compile", "--seconds", "0.1", "--json", str(out)]
    assert cli.main(["bench", "--weights", weights, *arguments]) == 0
    rows = {row.detail: row for row in only_part(out).cases[0].rows if row.precision == "fp32"}
    assert rows[""].key and not rows["torch.compile"].key
    assert "no C++ compiler" in rows["torch.compile"].skipped
    assert "torch.compile" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--backbone", "mit_b9"], "mit_b9"),
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments, word, capsys):
    assert cli.main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert word in error and "Traceback" not in error
