"""Writes masks as PNG files that show the classes' colours and hold their ids: palette images, the commonest label format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import yaml

from dcfm_ros.arrays import UNLABELLED, Mask
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import check_apart, whole_file
from dcfm_ros.media.label_image import png_chunk

CLASSES = "classes.yaml"
"""The classes' names and colours in the order of their ids, as `dcfm_ros.model.classes` reads them."""
_PALETTE = 3  # a PNG's kind of pixels
_KIND = 25  # where in a PNG that is said
_AFTER_HEADER = 33


class MaskWriter:
    """A folder of masks, and the classes that their values are.

    folder: is made where it does not exist. names, colors: of the classes, by id; RGB, 0-255. read: files and
    folders that the run reads; the folder must not lie there.
    Raises DcfmError: the folder is not empty and `force` is not given, or see `check_apart`.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        colors: Sequence[tuple[int, int, int]],
        *,
        force: bool = False,
        read: Iterable[Path] = (),
    ) -> None:
        check_apart(folder, read)
        if os.path.lexists(folder) and not folder.is_dir():
            raise DcfmError(f"The output {folder} is a file; give a folder.")
        if folder.exists() and any(folder.iterdir()) and not force:
            raise DcfmError(f"The output {folder} is not empty; add --force to write into it.")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._palette = [*colors, *[(0, 0, 0)] * (256 - len(colors))]
        self._written: Counter[str] = Counter()
        with whole_file(folder / CLASSES) as file:
            file.write(class_table(names, colors))

    def write(self, name: str, mask: Mask) -> None:
        """A mask, uint8 H×W of class ids, as NAME.png; of several frames of one name the later ones get a number.

        Raises OSError where it cannot be written.
        """
        again = f"_{self._written[name]}" if self._written[name] else ""
        self._written[name] += 1
        with whole_file(self.folder / f"{name}{again}.png") as file:
            file.write(palette_png(mask, self._palette))

    def close(self) -> None:
        """Nothing is left to do: each file is whole."""


def class_table(names: Sequence[str], colors: Sequence[tuple[int, int, int]]) -> bytes:
    """What CLASSES holds."""
    classes = {name: list(color) for name, color in zip(names, colors, strict=True)}
    return yaml.safe_dump(classes, sort_keys=False, default_flow_style=None).encode()


def palette_png(mask: Mask, colors: Sequence[tuple[int, int, int]]) -> bytes:
    """A PNG whose pixels are places in a palette: uint8 H×W, and 256 RGB colours. UNLABELLED is shown transparent."""
    done, packed = cv2.imencode(".png", mask)
    if not done:
        raise DcfmError(f"OpenCV cannot write a mask of shape {mask.shape} as PNG")
    grey = packed.tobytes()
    header = grey[16:_KIND] + bytes([_PALETTE]) + grey[_KIND + 1 : _AFTER_HEADER - 4]
    opaque = bytes(0 if value == UNLABELLED else 255 for value in range(256))
    chunks = (
        png_chunk(b"IHDR", header),
        png_chunk(b"PLTE", bytes(part for color in colors for part in color)),
        png_chunk(b"tRNS", opaque),
    )
    return grey[:8] + b"".join(chunks) + grey[_AFTER_HEADER:]
