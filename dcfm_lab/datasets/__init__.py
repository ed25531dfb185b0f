"""Labelled video for training and evaluation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dcfm_lab.datasets.base import FrameDataset, LabelledFrame
from dcfm_lab.datasets.camvid import CamVid, CamVidFull
from dcfm_lab.datasets.cityscapes import Cityscapes
from dcfm_lab.datasets.recordings import Recordings
from dcfm_lab.datasets.synthetic import Synthetic
from dcfm_lab.datasets.unlabelled import Unlabelled
from dcfm_lab.datasets.vspw import Vspw
from dcfm_ros.errors import DcfmError

__all__ = ["DATASETS", "FrameDataset", "LabelledFrame", "open_dataset"]

DATASETS: dict[str, Callable[..., FrameDataset]] = {
    "camvid": CamVid,
    "camvid_full": CamVidFull,
    "cityscapes": Cityscapes,
    "recordings": Recordings,
    "synthetic": Synthetic,
    "unlabelled": Unlabelled,
    "vspw": Vspw,
}


def open_dataset(name: str, root: str | Path, split: str = "train", **options: Any) -> FrameDataset:
    """A dataset by the name of its layout. Raises DcfmError for an unknown name or option and for a wrong path."""
    if name not in DATASETS:
        raise DcfmError(f"unknown dataset '{name}'; known: {', '.join(DATASETS)}")
    known = [key for key in inspect.signature(DATASETS[name]).parameters if key not in ("root", "split")]
    for key in options:
        if key not in known:
            raise DcfmError(f"dataset '{name}' has no option '{key}'; known: {', '.join(known) or 'none'}")
    return DATASETS[name](root, split, **options)
