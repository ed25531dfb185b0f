"""Peak memory, measured in processes of their own."""

import pytest

from dcfm_lab.bench import memory
from dcfm_lab.bench.contestants import Entry, Setting
from dcfm_lab.bench.memory import measure_memory
from dcfm_ros.model.config import ModelConfig


@pytest.mark.slow
def test_each_contestant_is_measured_and_one_that_cannot_run_left_out(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("numba")  # draws the frames
    monkeypatch.setenv("DCFM_CACHE", str(tmp_path))
    asked = []

    apart = memory.in_own_process

    def noted(setting, entry, frames):
        asked.append((entry.engine, len(frames)))
        return apart(setting, entry, frames)

    monkeypatch.setattr(memory, "in_own_process", noted)
    config = ModelConfig(backbone="mobilenetv2", independent_feature="stride4", num_classes=5)
    setting = Setting("small", config=config, size=(64, 64))
    choices = [("torch", "fp32"), ("onnxruntime", "fp32"), ("onnxruntime", "int8")]
    rows = measure_memory(setting, [Entry(*choice) for choice in choices])
    assert [(row.engine, row.precision) for row in rows] == choices[:2]
    assert all(row.peak_mib > row.imports_mib > 20 for row in rows)
    assert asked == [("torch", 2), ("onnxruntime", 0), ("onnxruntime", 2), ("onnxruntime", 0)], (
        "what builds is measured once it has built"
    )
