"""Frames of synthetic drives: fully labelled video with true neighbours, rendered at first use and then kept."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from dcfm_lab.datasets.base import LabelledFrame
from dcfm_ros.arrays import Image
from dcfm_ros.cache import cached, code_digest
from dcfm_ros.config import Size
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import CAMVID
from dcfm_ros.street import SyntheticDrive

FIRST_SEED = {"train": 1_000, "val": 1_000_000, "test": 2_000_000}
"""The splits are different drives, and none of them is drive 0, which demonstrations show."""

FILE = "frame.npz"
KEPT_FRAMES = 20_000
"""For each size: 12 GB at 480×360."""


class Synthetic:
    """`drives` drives at 15 Hz: of each one every `every`-th of the first `length` frames, all labelled.

    Offsets count frames. A frame is rendered when it is first asked for (about a second) and kept in `root`.
    """

    classes = CAMVID
    fps = 15.0

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        drives: int = 30,
        length: int = 40,
        every: int = 1,
        width: int = 480,
        height: int = 360,
    ) -> None:
        if split not in FIRST_SEED:
            raise DcfmError(f"the synthetic drive has no split '{split}'; known: {', '.join(FIRST_SEED)}")
        if min(drives, length, every) < 1:
            raise DcfmError(f"drives, length and every must be 1 or more, got {drives}, {length}, {every}")
        self.seeds = range(FIRST_SEED[split], FIRST_SEED[split] + drives)
        self.frames = range(0, length, every)
        self.size = (width, height)
        self.root = Path(root).absolute() / f"{width}x{height}"

    def __len__(self) -> int:
        return len(self.seeds) * len(self.frames)

    def __getitem__(self, index: int) -> LabelledFrame:
        seed, frame = self._place(index)
        image, label = self._read(seed, frame)
        return LabelledFrame(image, label, self.name(index))

    def offsets(self, index: int) -> list[int]:
        _, frame = self._place(index)
        return [other - frame for other in self.frames if other != frame]

    def neighbour(self, index: int, offset: int) -> Image | None:
        seed, frame = self._place(index)
        return self._read(seed, frame + offset)[0] if frame + offset in self.frames else None

    def name(self, index: int) -> str:
        seed, frame = self._place(index)
        return f"drive_{seed}_{frame:04d}"

    def sequence(self, index: int) -> str:
        return f"drive_{self._place(index)[0]}"

    def _place(self, index: int) -> tuple[int, int]:
        drive, place = divmod(range(len(self))[index], len(self.frames))
        return self.seeds[drive], self.frames[place]

    def _read(self, seed: int, frame: int) -> tuple[Image, Image]:
        def draw(folder: Path) -> None:
            drawn = _drive(seed, self.size)[frame]
            np.savez(folder / FILE, image=drawn.image, label=drawn.label)

        key = {"size": str(self.size), "renderer": code_digest("street")}
        entry = cached(f"{seed}_{frame:04d}", key, draw, folder=self.root, kept=KEPT_FRAMES)
        with np.load(entry / FILE) as kept:
            return kept["image"], kept["label"]


@lru_cache(maxsize=2)
def _drive(seed: int, size: Size) -> SyntheticDrive:
    return SyntheticDrive(seed=seed, size=size, length=1_000_000)
