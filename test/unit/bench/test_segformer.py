"""The competitor with all tricks is the user's SegFormer: the same weights, the same labels."""

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from segformer import TunedRunner, TunedSegFormer, UserSegFormer, translated

from dcfm_ros.errors import DcfmError


@pytest.fixture(scope="module")
def user():
    torch.manual_seed(0)
    return UserSegFormer("mit_b0", 7, 32)


@pytest.fixture(scope="module")
def image():
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(16, 0).repeat(16, 1))


@pytest.mark.parametrize("engine", TunedRunner.ENGINES)
def test_same_labels(user, image, engine):
    pytest.importorskip(engine)
    tuned = TunedRunner(TunedSegFormer("mit_b0", user), engine, (image.shape[1], image.shape[0]))
    expected = user.frame(image)
    assert expected.shape == image.shape[:2]
    assert np.mean(tuned.frame(image) == expected) >= 0.999


def test_every_tensor_has_its_place(user):
    with pytest.raises(DcfmError, match=r"segformer\.new\.weight"):
        translated({**user.network.state_dict(), "segformer.new.weight": torch.zeros(1)})
