"""CamVid, in both of its distributions: 11 classes at 480×360, and all of it at 960×720."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from dcfm_lab.datasets.base import (
    existing_file,
    existing_folder,
    frame_number,
    images_in,
    lookup_table,
    read_pixels,
)
from dcfm_lab.datasets.videos import Video, VideoFiles
from dcfm_ros.arrays import UNLABELLED, Image
from dcfm_ros.config import read_yaml
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.classes import CAMVID

SMALL_LAYOUT = "CamVid with 11 classes as {train,val,test}/SEQUENCE/image/NAME.jpg and label/NAME.png"


class CamVid(VideoFiles):
    """The 11 classes at 480×360 that the SegNet tutorial distributes, one folder per sequence.

    Neighbours are other labelled frames. Offsets count frames of the 30 Hz drives, whose numbers are in the file names:
    in `train` and `test` labelled frames lie 30 apart, in `val` 2. `sequences`: the only ones to take, by their names;
    `without`: those to leave out. `val` is of the same drive as most of `train`; a sequence that is left out of the
    training tells better which of two models does well in a new place.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        sequences: Sequence[str] | None = None,
        without: Sequence[str] = (),
    ) -> None:
        folder = existing_folder(Path(root) / split, SMALL_LAYOUT)
        videos = []
        for sequence in chosen_sequences(folder, sequences, without):
            frames = images_in(sequence / "image")
            labels = {number: sequence / "label" / f"{image.stem}.png" for number, image in frames.items()}
            videos.append(Video(sequence.name, frames, labels))
        if not any(video.labels for video in videos):
            raise DcfmError(f"no image in '{folder}'; expected {SMALL_LAYOUT}")
        super().__init__(videos, CAMVID, lookup_table({i: i for i in range(11)}), (11, UNLABELLED))


def chosen_sequences(folder: Path, sequences: Sequence[str] | None, without: Sequence[str]) -> list[Path]:
    """The folders of `sequences` (None: of all) but those `without`; DcfmError for a name that none of them has."""
    known = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    for option, names in (("sequences", sequences or ()), ("without", without)):
        if isinstance(names, str):
            raise DcfmError(f"'{option}' must be a list of sequences, as in [{names}]")
        for name in names:
            if name not in known:
                # YAML takes 0016E5 for 16 × 10⁵.
                hint = "" if isinstance(name, str) else ", in quotes where they look like numbers"
                raise DcfmError(
                    f"'{option}': '{folder}' has no sequence '{name}'; known: {', '.join(known)}{hint}"
                )
    return [
        path
        for name, path in known.items()
        if name not in without and (sequences is None or name in sequences)
    ]


FULL_LAYOUT = (
    "CamVid as distributed: 701_StillsRaw_full/NAME.png, LabeledApproved_full/NAME_L.png, a list of NAMEs per split in "
    "{train,val,test}.txt and, if there are any, the videos' frames in SEQUENCE/*_NUMBER.png"
)

COLOURS = Path(__file__).with_name("camvid_colours.yaml")
"""The colours of the full distribution's labels, by class."""


class CamVidFull(VideoFiles):
    """The full 960×720 distribution: stills, labels in 32 colours and, where extracted, the videos' frames.

    A labelled frame's neighbours are the frames in its sequence's folder, found by their numbers. `shift`: what to add to
    the number of a labelled frame to get that of the same frame in the folder, by sequence, as in {Seq05VD: 1}.
    """

    def __init__(
        self, root: str | Path, split: str = "train", *, shift: dict[str, int] | None = None
    ) -> None:
        root = existing_folder(root, FULL_LAYOUT)
        names = existing_file(root / f"{split}.txt", FULL_LAYOUT).read_text().split()
        if not names:
            raise DcfmError(f"'{root / f'{split}.txt'}' lists no frame; expected {FULL_LAYOUT}")
        stills = existing_folder(root / "701_StillsRaw_full", FULL_LAYOUT)
        labels = existing_folder(root / "LabeledApproved_full", FULL_LAYOUT)
        by_sequence: dict[str, dict[int, str]] = {}
        for name in names:
            sequence = name.rsplit("_", 1)[0]
            number = frame_number(Path(name)) + (shift or {}).get(sequence, 0)
            by_sequence.setdefault(sequence, {})[number] = name
        videos = [
            Video(
                sequence,
                images_in(root / sequence)
                | {number: stills / f"{name}.png" for number, name in numbers.items()},
                {number: labels / f"{name}_L.png" for number, name in numbers.items()},
            )
            for sequence, numbers in sorted(by_sequence.items())
        ]
        super().__init__(videos, CAMVID, lookup_table({i: i for i in range(11)}))

    def read_label(self, path: Path) -> Image:
        color = read_pixels(existing_file(path, FULL_LAYOUT), cv2.IMREAD_COLOR, "a label image")
        blue, green, red = (color[..., i].astype(np.int64) for i in range(3))
        return _class_of_color()[red << 16 | green << 8 | blue]


@functools.cache
def _class_of_color() -> Image:
    table = np.full(1 << 24, UNLABELLED, np.uint8)
    for name, colours in read_yaml(COLOURS, "file of colours").items():
        for red, green, blue in colours:
            table[red << 16 | green << 8 | blue] = CAMVID.names.index(name)
    return table
