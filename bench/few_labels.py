"""What 20, 50 and 100 labelled frames are worth: CamVid laid out as one's own recordings, with classes of one's own.

    python bench/few_labels.py CAMVID FOLDER

The drive 0016E5 is the new place. `FOLDER/N` holds N labels, evenly spread over 102 seconds of it, for `dcfm train
config/train/recordings.yaml`; `FOLDER/near` another 6.7 seconds of the same drive (CamVid's `val`), 15 seconds on, and
`FOLDER/far` 68 seconds from a minute before, elsewhere in the town. `FOLDER/near11` and `FOLDER/far11` are the same with CamVid's
classes, for models that know these. `FOLDER/groups.yaml` makes the one out of the other.

The shipped model has seen this drive, so that a training must begin with one that has not, as that of
`config/train/camvid_mobilenetv2.yaml` with `train.0.options={without: ["0016E5"]}`; the same file with `--classes-file` is what a
training has to beat:

    DCFM_RECORDINGS=FOLDER/20 dcfm train config/train/recordings.yaml init=BASE train.0.simulate=1 out=runs/few20
    dcfm evaluate runs/few20/last.safetensors --data recordings:FOLDER/near --key-intervals 1
    dcfm evaluate BASE --classes-file FOLDER/groups.yaml --data recordings:FOLDER/near11 --key-intervals 1
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import yaml

from dcfm_lab.datasets.camvid import CamVid
from dcfm_ros.arrays import UNLABELLED, Mask
from dcfm_ros.media.mask_writer import class_table
from dcfm_ros.model.classes import CAMVID

GROUPS = {
    "way": ["road"],
    "walkway": ["pavement"],
    "people": ["pedestrian", "bicyclist"],
    "vehicle": ["car"],
    "surroundings": ["sky", "building", "pole", "tree", "sign", "fence"],
}
DRIVE = "0016E5"
LABELS = (20, 50, 100)
_FAR, _SEEN = range(2401), range(4470, 7501)  # frame numbers


def lay_out(camvid: Path, folder: Path) -> None:
    """Writes all of it. Raises DcfmError where CamVid is not there."""
    train, val = (CamVid(camvid, split, sequences=[DRIVE]) for split in ("train", "val"))
    numbers = [int(train.name(index).rpartition("_")[2]) for index in range(len(train))]
    seen = [index for index, number in enumerate(numbers) if number in _SEEN]
    far = [index for index, number in enumerate(numbers) if number in _FAR]
    table = np.full(256, UNLABELLED, np.uint8)
    for place, members in enumerate(GROUPS.values()):
        table[[CAMVID.names.index(name) for name in members]] = place
    colors = [CAMVID.colors[CAMVID.names.index(members[0])] for members in GROUPS.values()]
    own, theirs = class_table(list(GROUPS), colors), class_table(CAMVID.names, CAMVID.colors)
    same = np.arange(256, dtype=np.uint8)
    for count in LABELS:
        labelled = {seen[int((i + 0.5) * len(seen) / count)] for i in range(count)}
        _write(folder / str(count) / "train" / "drive", train, seen, labelled, table, own)
    for name, data, frames in (("near", val, list(range(len(val)))), ("far", train, far)):
        _write(folder / name / "val" / "drive", data, frames, set(frames), table, own)
        _write(folder / f"{name}11" / "val" / "drive", data, frames, set(frames), same, theirs)
    (folder / "groups.yaml").write_text(yaml.safe_dump(GROUPS, sort_keys=False))


def _write(
    recording: Path, data: CamVid, frames: list[int], labelled: set[int], table: Mask, classes: bytes
) -> None:
    labels = recording.with_suffix(".labels")
    for path in (recording, labels):
        path.mkdir(parents=True, exist_ok=True)
    (recording.parents[1] / "classes.yaml").write_bytes(classes)
    for index in frames:
        frame = data[index]
        cv2.imwrite(str(recording / f"{data.name(index)}.png"), frame.image[..., ::-1])
        if index in labelled:
            cv2.imwrite(str(labels / f"{data.name(index)}.png"), table[frame.label])


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), Path(sys.argv[2]))
