"""VSPW at 480p: every frame of 3 536 videos labelled, 15 Hz, 124 classes."""

from __future__ import annotations

from pathlib import Path

from dcfm_lab.datasets.base import existing_file, existing_folder, images_in, lookup_table
from dcfm_lab.datasets.videos import Video, VideoFiles
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import VSPW as CLASSES

LAYOUT = (
    "VSPW_480p as data/VIDEO/origin/NUMBER.jpg, data/VIDEO/mask/NUMBER.png and a list of VIDEOs per split in "
    "{train,val,test}.txt"
)


class Vspw(VideoFiles):
    """Label images hold class id + 1; 0 and everything above 124 count as unlabelled. Offsets count frames that are there."""

    fps = 15.0

    def __init__(self, root: str | Path, split: str = "train") -> None:
        root = existing_folder(root, LAYOUT)
        videos = []
        for name in existing_file(root / f"{split}.txt", LAYOUT).read_text().split():
            folder = existing_folder(root / "data" / name, LAYOUT)
            # Of the videos' frames only some were kept, and their numbers have gaps: a frame's number is its place.
            frames = dict(enumerate(images_in(existing_folder(folder / "origin", LAYOUT)).values()))
            labels = {number: folder / "mask" / f"{image.stem}.png" for number, image in frames.items()}
            videos.append(Video(name, frames, labels))
        if not any(video.labels for video in videos):
            raise DcfmError(f"'{root / f'{split}.txt'}' leads to no frame; expected {LAYOUT}")
        super().__init__(videos, CLASSES, lookup_table({i + 1: i for i in range(len(CLASSES.names))}))
