"""Cityscapes: one labelled frame in each 30-frame snippet (leftImg8bit_sequence and gtFine)."""

from __future__ import annotations

from pathlib import Path

from dcfm_lab.datasets.base import existing_file, existing_folder, lookup_table
from dcfm_lab.datasets.videos import Video, VideoFiles
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import CITYSCAPES

LAYOUT = (
    "Cityscapes as gtFine/SPLIT/CITY/CITY_SEQUENCE_FRAME_gtFine_labelIds.png and "
    "leftImg8bit_sequence/SPLIT/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png"
)
BEFORE, AFTER = 19, 10
"""Frames of a snippet before and after the labelled one, at 17 Hz."""

# labelIds of the 19 classes that count, in their order.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


class Cityscapes(VideoFiles):
    """The 19 classes; labels are read from `labelIds`, so nothing has to be prepared.

    Where the package of snippets is not there, the single frames (leftImg8bit) do, without neighbours.
    """

    fps = 17.0

    def __init__(self, root: str | Path, split: str = "train") -> None:
        root = existing_folder(root, LAYOUT)
        truth = existing_folder(root / "gtFine" / split, LAYOUT)
        snippets, single = root / "leftImg8bit_sequence" / split, root / "leftImg8bit" / split
        images = single if single.is_dir() and not snippets.is_dir() else existing_folder(snippets, LAYOUT)
        suffix = "_gtFine_labelIds.png"
        videos = []
        for label in sorted(truth.glob(f"*/*{suffix}")):
            city, sequence, frame = label.name.removesuffix(suffix).rsplit("_", 2)
            here = int(frame)
            frames = {}
            for number in range(here - BEFORE, here + AFTER + 1):
                path = images / label.parent.name / f"{city}_{sequence}_{number:06d}_leftImg8bit.png"
                if path.is_file():
                    frames[number] = path
            existing_file(
                images / label.parent.name / f"{city}_{sequence}_{here:06d}_leftImg8bit.png", LAYOUT
            )
            videos.append(Video(f"{city}_{sequence}_{frame}", frames, {here: label}))
        if not videos:
            raise DcfmError(f"no *{suffix} below '{truth}'; expected {LAYOUT}")
        super().__init__(videos, CITYSCAPES, lookup_table({raw: i for i, raw in enumerate(LABEL_IDS)}))
