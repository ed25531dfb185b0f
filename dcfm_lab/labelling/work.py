"""The folder of frames that are being labelled, and what has to be known of it when the labels come back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dcfm_ros.config import Size, from_mapping, parse_size
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import strict_json, whole_file
from dcfm_ros.media.mask_writer import CLASSES, class_table
from dcfm_ros.model.classes import ClassSet, read_classes

IMAGES, NOTES = "images", "labelling.json"
PREPARE = "dcfm label prepare"


@dataclass(frozen=True)
class Work:
    """recording: absolute path. topic: of a bag. frames: name -> (width, height), in order; labels have the same names."""

    recording: str
    topic: str
    frames: dict[str, Size]


def save_work(folder: Path, work: Work, classes: ClassSet) -> None:
    """Raises OSError."""
    with whole_file(folder / CLASSES) as file:
        file.write(class_table(classes.names, classes.colors))
    with whole_file(folder / NOTES) as file:
        file.write(json.dumps(asdict(work), indent=1).encode())


def load_work(folder: Path) -> tuple[Work, ClassSet]:
    """What `save_work` wrote; `classes.yaml` may have been added to since. Raises DcfmError."""
    path = folder / NOTES
    if not path.is_file():
        raise DcfmError(f"'{folder}' has no {NOTES}; expected the folder that `{PREPARE}` made")
    try:
        work = from_mapping(Work, strict_json(path.read_bytes()))
    except ValueError as error:
        raise DcfmError(f"'{path}' is damaged ({error}); make the folder anew with `{PREPARE}`") from error
    frames = {name: parse_size(size, f"{path}: {name}") for name, size in work.frames.items()}
    return replace(work, frames=frames), read_classes(folder / CLASSES)


def hex_color(color: tuple[int, int, int]) -> str:
    """As in #ff8000."""
    return "#{:02x}{:02x}{:02x}".format(*color)
