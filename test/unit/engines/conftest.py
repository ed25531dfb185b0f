"""A small model, and a cache of the tests' own."""

import os

import numpy as np
import pytest
import torch

from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model

SIZE = (96, 64)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The folder that engines built by these tests go to."""
    before = os.environ.get("DCFM_CACHE")
    folder = tmp_path_factory.mktemp("cache")
    os.environ["DCFM_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["DCFM_CACHE"]
    else:
        os.environ["DCFM_CACHE"] = before


@pytest.fixture(scope="session")
def model():
    """A small network whose logits differ from pixel to pixel."""
    torch.manual_seed(0)
    return build_model(ModelConfig(backbone="mobilenetv2", independent_feature="stride4", num_classes=5))


@pytest.fixture(scope="session")
def frames():
    """Four frames of SIZE with structure in them."""
    rng = np.random.default_rng(0)
    return [
        np.kron(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        for _ in range(4)
    ]


@pytest.fixture(scope="session")
def finish():
    """A function that runs a generator to its end, and returns how often it paused, and what it returned."""

    def run(generator):
        pauses = 0
        while True:
            try:
                next(generator)
                pauses += 1
            except StopIteration as end:
                return pauses, end.value

    return run
