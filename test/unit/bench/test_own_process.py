"""A contestant in another process is the same contestant, and what becomes of it is told."""

import numpy as np
import pytest

from dcfm_ros.bench import case
from dcfm_ros.bench.case import measure_case
from dcfm_ros.bench.contestants import Builder, Entry, Setting
from dcfm_ros.bench.own_process import OwnProcess
from dcfm_ros.bench.result import DCFM, PUBLISHED, SEGFORMER
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelConfig

SETTING = Setting("small", config=ModelConfig(backbone="mit_b0", num_classes=4), size=(96, 64))
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)


@pytest.fixture
def contestant():
    made = OwnProcess(SETTING, Entry(PUBLISHED))
    yield made
    made.close()


def test_it_labels_as_it_does_here(contestant):
    here = Builder(SETTING).build(Entry(PUBLISHED))
    laps = contestant.key(IMAGES[0])
    assert laps.keys() == here.key(IMAGES[0]).keys() and laps["total"] > 0
    assert np.array_equal(contestant.mask, here.mask)
    assert "common" not in contestant.other(IMAGES[1])
    here.other(IMAGES[1])
    assert np.array_equal(contestant.mask, here.mask)
    assert (contestant.engine, contestant.precision) == (here.engine, here.precision)


def test_its_process_ends_with_it(contestant):
    assert contestant._child.poll() is None
    contestant.close()
    assert contestant._child.returncode == 0


def test_a_process_that_ends_by_itself_is_an_error(contestant):
    contestant._child.kill()
    with pytest.raises(DcfmError, match="exit status -9"):
        contestant.key(IMAGES[0])


def test_what_cannot_run_says_why():
    with pytest.raises(DcfmError, match="no_such_file"):
        OwnProcess(Setting("broken", weights="no_such_file.safetensors"), Entry(PUBLISHED))


def test_what_others_would_run_without_this_package_is_measured_apart(monkeypatch):
    asked, ended = [], []

    class Noted(OwnProcess):
        def __init__(self, setting, entry, **options):
            asked.append(entry.kind)
            super().__init__(setting, entry, **options)

        def close(self):
            ended.append(self)
            super().close()

    monkeypatch.setattr(case, "OwnProcess", Noted)
    entries = [Entry(PUBLISHED), Entry(DCFM), Entry(SEGFORMER, width=32)]
    rows = measure_case(SETTING, entries, seconds=0.01).rows
    assert asked == [PUBLISHED, SEGFORMER] and len(ended) >= 2
    assert rows[1].agreement > 0.999
