"""The common branch in pieces: the same numbers, wherever it is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.model.backbones.registry import BACKBONES
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model
from dcfm_ros.model.slices import common_blocks, in_pieces

CUTS = [
    (backbone, feature)
    for backbone in ("mit_b0", "mit_b2", "resnet18", "resnet50", "mobilenetv2", "efficientnet_lite2")
    for feature in BACKBONES[backbone].features
]


def run(slices):
    """The return value of a generator, and how many times it yielded."""
    cuts = 0
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value, cuts
        cuts += 1


@pytest.mark.parametrize(("backbone", "feature"), CUTS)
@torch.inference_mode()
def test_blocks_give_what_the_whole_branch_gives(backbone, feature):
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone=backbone, independent_feature=feature, common_channels=32))
    independent = model.encode_independent(torch.randn(1, 3, 67, 93))
    whole = model.prepare_common(model.encode_common(None, independent))
    in_blocks, cuts = run(common_blocks(model, independent))
    assert torch.equal(whole, in_blocks)
    assert cuts >= (5 if backbone == "resnet18" else 10), "cut into blocks, not run in one go"


@pytest.mark.parametrize("backbone", ["mit_b0", "resnet18", "mobilenetv2", "efficientnet_lite0"])
@pytest.mark.parametrize("threads", [None, 1])
def test_the_engine_gives_the_same_feature_in_any_number_of_pieces(backbone, threads, rng):
    engine = create_engine(build_model(ModelConfig(backbone=backbone)), EngineConfig(device="cpu"))
    handle = engine.background(threads) if threads else engine
    independent = engine.independent(rng.integers(0, 256, (64, 96, 3), "uint8"))
    whole = handle.common(independent)
    before = torch.get_num_threads()
    for pieces in (4, 1, 2, 4, 100):
        in_pieces, _ = run(handle.common_slices(independent, pieces))
        assert torch.equal(whole, in_pieces)
    assert torch.get_num_threads() == before


def blocks(number):
    for _ in range(number - 1):
        yield
    return "result"


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40), st.integers(1, 50))
@settings(deadline=None)
def test_pieces_are_as_many_as_asked_for_and_none_is_much_too_long(milliseconds, pieces):
    fair, longest = sum(milliseconds) / pieces, max(milliseconds)
    parts, part, done = [], 0.0, iter(milliseconds)

    def counted():
        nonlocal part
        for i, ms in enumerate(done):
            part += ms
            if i < len(milliseconds) - 1:
                yield
        return "result"

    slices = in_pieces(counted(), pieces, list(milliseconds))
    while True:
        try:
            next(slices)
        except StopIteration as end:
            parts.append(part)
            assert end.value == "result"
            break
        parts.append(part)
        part = 0.0
    assert len(parts) <= pieces + 1
    assert sum(parts) == pytest.approx(sum(milliseconds))
    assert max(parts) <= fair + longest + 1e-6


def test_the_first_run_is_cut_at_every_block_and_measures_them():
    durations: list[float] = []
    assert run(in_pieces(blocks(7), 2, durations)) == ("result", 6)
    assert len(durations) == 7 and all(ms >= 0 for ms in durations)
    durations[:] = [1.0] * 7
    assert run(in_pieces(blocks(7), 2, durations))[1] <= 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)
