"""CVAT's "Segmentation mask 1.1": what it imports, and what it exports.

A zip of JPEGImages/NAME.jpg, SegmentationClass/NAME.png in the classes' colours, ImageSets/Segmentation/default.txt, which lists
the names, and labelmap.txt, a line NAME:RED,GREEN,BLUE:: for each class. What nobody labelled is "background", 0,0,0.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from dcfm_lab.labelling.archive import Archive
from dcfm_lab.labelling.work import hex_color
from dcfm_ros.arrays import UNLABELLED, Mask
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import whole_file
from dcfm_ros.media.image_file import decode_file
from dcfm_ros.media.image_header import BadImage
from dcfm_ros.media.mask_writer import palette_png
from dcfm_ros.model.classes import ClassSet, spread_color

ZIP, LABELS = "cvat.zip", "cvat_labels.json"
LABEL_MAP = "labelmap.txt"
BACKGROUND = "background"
"""CVAT's name for what has no label."""
_MASKS, _LIST = "SegmentationClass", "ImageSets/Segmentation/default.txt"
_BLACK = (0, 0, 0)
Color = tuple[int, int, int]


class CvatWriter(ExitStack):
    """Writes `folder`/cvat.zip, and cvat_labels.json: the labels for a new project's "Raw" field."""

    def __init__(self, folder: Path, classes: ClassSet) -> None:
        super().__init__()
        self._colors = told_apart(classes)
        self._palette = [*self._colors, *[_BLACK] * (256 - len(self._colors))]
        self._names = classes.names
        self._written: list[str] = []
        labels = [
            {"name": name, "color": hex_color(color), "type": "mask", "attributes": []}
            for name, color in zip(classes.names, self._colors, strict=True)
            if name != BACKGROUND
        ]
        with whole_file(folder / LABELS) as file:
            file.write(json.dumps(labels, indent=1).encode())
        self._zip = self.enter_context(zipfile.ZipFile(self.enter_context(whole_file(folder / ZIP)), "w"))

    def add(self, name: str, jpeg: bytes, mask: Mask) -> None:
        """mask: uint8 H×W, class ids."""
        self._zip.writestr(f"JPEGImages/{name}.jpg", jpeg)
        self._zip.writestr(f"{_MASKS}/{name}.png", palette_png(mask, self._palette))
        self._written.append(f'"{name}"' if " " in name else name)

    def __exit__(self, kind: object, *rest: object) -> bool | None:
        if kind is None:
            lines = [f"{BACKGROUND}:0,0,0::"] if BACKGROUND not in self._names else []
            lines += [
                f"{name}:{','.join(map(str, color))}::"
                for name, color in zip(self._names, self._colors, strict=True)
            ]
            self._zip.writestr(LABEL_MAP, "\n".join(["# label:color_rgb:parts:actions", *lines, ""]))
            self._zip.writestr(_LIST, "\n".join([*self._written, ""]))
        return super().__exit__(kind, *rest)  # type: ignore[arg-type]


def told_apart(classes: ClassSet) -> list[Color]:
    """The classes' colours, but others for those that are black, or another class's: CVAT knows labels by their colours."""
    colors: list[Color] = []
    for name, color in zip(classes.names, classes.colors, strict=True):
        spare = len(colors)
        while color in colors or (color == _BLACK and name != BACKGROUND):
            color, spare = spread_color(spare), spare + 1
        colors.append(color)
    return colors


def cvat_masks(archive: Archive, classes: ClassSet, problems: Counter[str]) -> Iterator[tuple[str, Mask]]:
    """The names and masks of an export: uint8 H×W, ids of `classes`, 255 where nobody labelled.

    problems: counts what had to be left out. Raises DcfmError for an export that cannot be read, and for labels that are no
    class.
    """
    (root,) = [PurePosixPath(name).parent for name in archive.files if PurePosixPath(name).name == LABEL_MAP][
        :1
    ]
    labels = _label_map(archive.read(str(root / LABEL_MAP)), archive.path)
    folder = root / _MASKS
    files = [name for name in archive.files if PurePosixPath(name).is_relative_to(folder)]
    if not files:
        raise DcfmError(f"'{archive.path}' has no {_MASKS}/NAME.png; export it as 'Segmentation mask 1.1'")
    for name in files:
        try:
            pixels = decode_file(archive.read(name), cv2.IMREAD_UNCHANGED, "it")
        except BadImage as error:
            problems[f"'{name}' cannot be read as an image: {error}"] += 1
            continue
        yield (
            str(PurePosixPath(name).relative_to(folder).with_suffix("")),
            _by_label(pixels, labels, classes, name),
        )


def _label_map(text: bytes, path: Path) -> dict[str, int]:
    """The colour of each label, as 0xRRGGBB, in order. Raises DcfmError."""
    labels: dict[str, int] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        parts = rest.partition(":")[0].split(",")
        if len(parts) != 3 or not all(
            part.isascii() and part.isdigit() and int(part) < 256 for part in parts
        ):
            raise DcfmError(
                f"{LABEL_MAP} of '{path}' has the line '{line[:80]}'; expected NAME:RED,GREEN,BLUE::"
            )
        color = int(parts[0]) << 16 | int(parts[1]) << 8 | int(parts[2])
        if name in labels or color in labels.values():
            raise DcfmError(
                f"{LABEL_MAP} of '{path}' has the name or the colour of '{name}' twice; give each label its own in CVAT"
            )
        labels[name] = color
    return labels


def _by_label(pixels: np.ndarray, labels: dict[str, int], classes: ClassSet, name: str) -> Mask:
    """Class ids of a mask in the labels' colours, or (one channel) of their numbers. Raises DcfmError."""
    if pixels.dtype != np.uint8:
        raise DcfmError(f"'{name}' has {8 * pixels.itemsize} bits per channel; expected 8")
    if pixels.ndim == 2:
        known: dict[int, str] = dict(enumerate(labels))
        values = pixels.astype(np.uint32)
    else:
        known = {color: label for label, color in labels.items()}
        values = pixels[..., 2::-1].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, places = np.unique(values, return_inverse=True)
    ids = [_class_of(int(value), known, classes, name) for value in found]
    return np.array(ids, np.uint8)[places].reshape(values.shape)


def _class_of(value: int, known: dict[int, str], classes: ClassSet, name: str) -> int:
    label = known.get(value, BACKGROUND if value == 0 else None)
    if label in classes.names:
        return classes.names.index(label)
    if label == BACKGROUND:
        return UNLABELLED
    what = (
        f"the value {value:#x}, which {LABEL_MAP} does not name" if label is None else f"the label '{label}'"
    )
    raise DcfmError(
        f"'{name}' holds {what}; the classes are {', '.join(classes.names)}: rename it in CVAT, or add it to classes.yaml"
    )
