"""The folder of frames that are being labelled, and what has to be known of it when the labels come back."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dcfm_ros.config import Size, from_mapping, parse_size
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import strict_json, whole_file
from dcfm_ros.media.mask_writer import CLASSES, class_table
from dcfm_ros.model.classes import ClassSet, read_classes

IMAGES, NOTES = "images", "labelling.json"
PREPARE = "dcfm label prepare"
_UNFINISHED = ".unfinished."


@dataclass(frozen=True)
class Work:
    """recording: absolute path. topic: of a bag. frames: name -> (width, height), in order; labels have the same names."""

    recording: str
    topic: str
    frames: dict[str, Size]


def is_free(folder: Path) -> bool:
    """Whether `whole_folder` may fill it: it does not exist, or holds nothing but what a killed one has left."""
    if not folder.exists():
        return True
    return folder.is_dir() and all(path.name.startswith(_UNFINISHED) for path in folder.iterdir())


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder of the same name to fill, whose files go to `folder` when all are there; nothing is left where that fails.

    Raises OSError.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder) as scratch:
            made = Path(scratch) / folder.resolve().name
            made.mkdir()
            yield made
            for path in made.iterdir():
                path.rename(folder / path.name)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # somebody has put something there
                folder.rmdir()
        raise


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
