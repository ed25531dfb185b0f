"""This package beside the published order and SegFormer, in one run; `bench/compare.py` tells of it."""

import json
from dataclasses import replace

import compare
import numpy as np
import pytest
import rivals
import torch
from own_process import OwnProcess
from parts import PUBLISHED, SEGFORMER, TUNED
from rivals import REFERENCE, SegFormerEntry, TunedEntry, all_entries

from dcfm_lab.bench.case import Rounds
from dcfm_lab.bench.contestants import Entry, Setting
from dcfm_lab.bench.result import DCFM, Amortised, Case, Row
from dcfm_lab.measure.spread import amortised, spread
from dcfm_ros.model.config import ModelConfig

SETTING = Setting("small", config=ModelConfig(backbone="mit_b0", num_classes=4), size=(96, 64))


def test_what_others_would_run_without_this_package_is_measured_apart(monkeypatch):
    pytest.importorskip("transformers")
    asked, ended = [], []

    class Noted(OwnProcess):
        def __init__(self, setting, entry, **options):
            asked.append(entry.kind)
            super().__init__(setting, entry, **options)

        def close(self):
            ended.append(self)
            super().close()

    monkeypatch.setattr(rivals, "OwnProcess", Noted)
    entries = [REFERENCE, Entry(), SegFormerEntry(width=32)]
    measured = rivals.compare(SETTING, entries, seconds=0.01)
    published, ours, segformer = measured.rows
    assert asked == [PUBLISHED, SEGFORMER] and len(ended) >= 2
    assert (published.kind, ours.kind, segformer.kind) == (PUBLISHED, DCFM, SEGFORMER)
    assert ours.agreement > 0.999 and published.agreement is None
    assert published.other_ratio.median == 1 and ours.other_ratio.count == measured.rounds
    (against,) = ours.amortised[0].against
    assert (against.kind, against.width) == (SEGFORMER, 32)
    assert segformer.other is None and not segformer.amortised


def test_means_are_against_each_segformer_on_its_fastest_engine(monkeypatch):
    ours, slow, fast = Entry(), TunedEntry("onnxruntime", width=32), TunedEntry("openvino", width=32)
    taken = {REFERENCE: 300.0, ours: 100.0, slow: 900.0, fast: 500.0}
    key = {entry: [{"total": ms}] * 5 for entry, ms in taken.items()}
    rounds = Rounds(key, {REFERENCE: [{"total": 200.0}] * 5, ours: [{"total": 20.0}] * 5})
    means = tuple(Amortised(k, spread(amortised([100.0], [20.0], k))) for k in (1, 10))
    measured = [Row(entry.kind, entry.engine, entry.precision) for entry in taken]
    measured[1] = replace(measured[1], amortised=means)
    rows = (*measured, Row(DCFM, "tensorrt", "fp16", skipped="needs a GPU"))
    whole = Case("small", "mit_b0", 4, (96, 64), "random", 5, rows)
    monkeypatch.setattr(rivals, "measure_case", lambda *_, **__: (whole, rounds))
    compared = rivals.compare(SETTING, list(taken), seconds=1)
    every, tenth = compared.rows[1].amortised
    assert [(a.kind, a.width, a.ratio.median) for a in every.against] == [(TUNED, 32, 5.0)]
    assert tenth.against[0].ratio.median == pytest.approx(500 / 28)
    assert compared.rows[-1].skipped == "needs a GPU" and not compared.rows[-1].amortised


def test_the_published_order_labels_as_this_package_does_in_its_own_order():
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
    ours, theirs = (entry.build(SETTING).labels(frames) for entry in (Entry(), REFERENCE))
    assert ours.shape == theirs.shape == (3, 64, 96) and np.mean(ours == theirs) > 0.999


def test_a_segformer_is_tuned_on_the_engines_that_were_chosen(monkeypatch):
    monkeypatch.setattr(rivals, "on_gpu", lambda: False)
    entries = all_entries([("torch", "fp32"), ("openvino", "fp32")], (256,))
    assert [(entry.kind, entry.engine) for entry in entries] == [
        (PUBLISHED, "torch"),
        (DCFM, "torch"),
        (DCFM, "openvino"),
        (SEGFORMER, "torch"),
        (TUNED, "openvino"),
    ]
    assert [entry.detail for entry in entries[3:]] == ["head of 256 channels"] * 2
    monkeypatch.setattr(rivals, "on_gpu", lambda: True)
    assert all(entry.kind != TUNED for entry in all_entries([("openvino", "fp32")], (256,)))


def test_the_baselines_get_the_device_of_this_machine(monkeypatch):
    asked = []
    monkeypatch.setattr(rivals, "first_gpu", lambda: torch.device("cuda"))
    monkeypatch.setattr(rivals, "PublishedOrder", lambda model, device: asked.append(device))
    monkeypatch.setattr(rivals, "UserSegFormer", lambda *words: asked.append(words[-1]))
    REFERENCE.build(SETTING)
    SegFormerEntry(width=32).build(SETTING)
    assert asked == [torch.device("cuda")] * 2


def test_one_model_against_the_published_order(tmp_path, capsys):
    out = tmp_path / "out.json"
    words = ["--backbone", "mit_b0", "--classes", "4", "--size", "96x64", "--engines", "torch"]
    words += ["--precisions", "fp32", "--seconds", "0.1", "--json", str(out)]
    assert compare.main(words) == 0
    assert "published order" in capsys.readouterr().out
    (part,) = json.loads(out.read_text())["parts"]
    assert [row["kind"] for row in part["cases"][0]["rows"]] == [PUBLISHED, DCFM]
    assert (
        part["command"].startswith("python bench/compare.py --backbone mit_b0")
        and "--json" not in part["command"]
    )


@pytest.mark.parametrize("words", [["--segformer"], ["--segformer", "--backbone", "mobilenetv2"]])
def test_segformer_has_mit_backbones_only(words, capsys):
    assert compare.main(words) == 2
    assert "--segformer needs a MiT backbone" in capsys.readouterr().err
