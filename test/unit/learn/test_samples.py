"""What an aligned training is shown of the way from a frame to its neighbour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import trees

from dcfm_lab.datasets import open_dataset
from dcfm_lab.learn.config import AugmentConfig, LossConfig, SourceConfig, TrainConfig
from dcfm_lab.learn.samples import PairSamples, Source, flow_along

SIZE = (160, 120)
STEP = 3
"""Pixels by which everything slides to the left from frame to frame."""


@pytest.fixture
def slide(tmp_path) -> Path:
    coarse = np.random.default_rng(0).integers(0, 256, (24, 64, 3)).astype(np.uint8)
    wide = cv2.resize(coarse, (320, SIZE[1]), interpolation=cv2.INTER_CUBIC)
    for number in range(8):
        left = STEP * number
        trees.write(tmp_path / "slide" / f"{number:04d}.png", wide[:, left : left + SIZE[0]])
    return tmp_path / "slide"


@pytest.mark.parametrize("offset", [-5, 2])
def test_the_flow_is_chained_along_the_frames_between(slide, offset):
    """From 5 frames ago, everything has slid by 15 pixels, more than one step of flow finds for certain."""
    dataset = open_dataset("unlabelled", slide)
    field = flow_along(dataset, 5, offset, dataset[5].image) * SIZE
    inner = field[4:-4, 6:-6]
    assert np.median(inner[..., 0]) == pytest.approx(-offset * STEP, abs=0.7)
    assert np.median(inner[..., 1]) == pytest.approx(0, abs=0.5)


def test_what_the_flow_cannot_follow_stays_where_it_is(slide):
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    assert not np.any(flow_along(open_dataset("unlabelled", slide), 5, -1, noise))


@pytest.mark.parametrize("simulate", [0.0, 1.0])
def test_samples_carry_a_displacement_where_features_are_aligned(slide, simulate):
    source = SourceConfig("unlabelled", root=str(slide), reach=3, simulate=simulate)
    augment = AugmentConfig(crop=(64, 50))

    def sample(**changed) -> torch.Tensor:
        config = TrainConfig(train=(source,), augment=augment, **changed)
        return PairSamples([Source(open_dataset("unlabelled", slide), source)], config)[4][4]

    assert sample(align="flow").shape == (13, 16, 2) and sample(align="flow").abs().sum() > 0
    assert sample(align="none").numel() == 0
    assert sample(align="flow", loss=LossConfig(reused=0, consistency=0)).numel() == 0
