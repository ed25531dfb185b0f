"""What a machine is asked for depends on whether it has a GPU, and what is compared runs on it, too."""

import pytest
import stages
import suite
import torch

from dcfm_lab.bench import contestants
from dcfm_ros.errors import DcfmError

GPU = torch.device("cuda")


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(contestants, "first_gpu", lambda: GPU)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(contestants, "first_gpu", lambda: None)


def test_without_a_gpu_all_parts_but_its_own(no_gpu):
    assert set(suite.PARTS) - set(suite.usual_parts()) == {"gpu"}
    with pytest.raises(DcfmError, match="needs a CUDA GPU"):
        suite.measure_part("gpu", say=print)


def test_an_unknown_part_is_named():
    with pytest.raises(DcfmError, match="no part 'everything'; known: label_map, shipped"):
        suite.measure_part("everything", say=print)


def test_with_one_its_parts_on_engines_that_use_it(gpu):
    assert suite.usual_parts() == ("gpu", "shipped")
    setting = suite.gpu_goal()
    choices = contestants.usual_choices(setting)
    assert ("torch", "fp16") in choices and not any(engine == "openvino" for engine, _ in choices)
    assert suite.widths_of(setting) == (256,)
    model = setting.model()
    assert (model.card.input_size, model.config.backbone, model.config.num_classes) == (
        (2048, 1024),
        "mit_b1",
        19,
    )


@pytest.mark.parametrize(("device", "waits"), [("cpu", 0), ("cuda", 2)])
def test_a_stage_lasts_until_the_gpu_is_done(device, waits, monkeypatch):
    awaited = []
    monkeypatch.setattr(torch.cuda, "synchronize", awaited.append)
    watch = stages.Stages(torch.device(device))
    assert watch.lap() >= 0 and watch.lap() >= 0
    assert len(awaited) == waits
