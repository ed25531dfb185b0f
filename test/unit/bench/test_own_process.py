"""A contestant in another process is the same contestant, and what becomes of it is told."""

import numpy as np
import pytest
from own_process import OwnProcess

from dcfm_lab.bench.contestants import Entry, Setting
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelConfig

SETTING = Setting("small", config=ModelConfig(backbone="mit_b0", num_classes=4), size=(96, 64))
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)


@pytest.fixture
def contestant():
    made = OwnProcess(SETTING, Entry())
    yield made
    made.close()


def test_it_labels_as_it_does_here(contestant):
    here = Entry().build(SETTING)
    laps = contestant.key(IMAGES[0])
    assert laps.keys() == here.key(IMAGES[0]).keys() and laps["total"] > 0
    assert "common" not in contestant.other(IMAGES[1])
    assert np.array_equal(contestant.labels(IMAGES), here.labels(IMAGES))


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
        OwnProcess(Setting("broken", weights="no_such_file.safetensors"), Entry())
