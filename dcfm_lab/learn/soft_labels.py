"""Soft labels from a folder: what another network took each frame's pixels for, computed once and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcfm_lab.datasets.base import FrameDataset, existing_file, existing_folder
from dcfm_ros.errors import DcfmError

LAYOUT = "soft labels as NAME.npz, NAME being that of the frame's file, with `probability`: uint8 classes×h×w, 255 = certain"


class SoftLabels:
    """The soft labels of each of a dataset's frames. Raises DcfmError where one is missing or of another class set."""

    def __init__(self, folder: str | Path, dataset: FrameDataset) -> None:
        folder = existing_folder(folder, LAYOUT)
        self.classes = len(dataset.classes.names)
        self.paths = [folder / f"{dataset.name(index)}.npz" for index in range(len(dataset))]
        missing = [path for path in self.paths if not path.is_file()]
        if missing:
            raise DcfmError(
                f"{len(missing)} of {len(dataset)} frames have no soft labels ('{missing[0]}' is missing); expected {LAYOUT}"
            )
        self[0]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """uint8 h×w×classes of frame `index`, in the resolution of the file; a pixel's sum is about 255."""
        path = existing_file(self.paths[index], LAYOUT)
        try:
            with np.load(path) as content:
                probability = content["probability"]
        except Exception as error:  # a damaged archive raises whatever its bytes provoke
            raise DcfmError(f"'{path}' cannot be read ({error}); expected {LAYOUT}") from error
        if probability.dtype != np.uint8 or probability.ndim != 3:
            shape = "×".join(map(str, probability.shape))
            raise DcfmError(f"'{path}' holds {probability.dtype} {shape}; expected {LAYOUT}")
        if len(probability) != self.classes:
            raise DcfmError(f"'{path}' holds {len(probability)} classes, the dataset has {self.classes}")
        return np.ascontiguousarray(probability.transpose(1, 2, 0))
