"""A sheet of small pictures with their masks over them, to see at a glance what is labelled and how."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.media.messages import encode_jpeg
from dcfm_ros.model.classes import ClassSet
from dcfm_ros.model.config import ModelCard
from dcfm_ros.stream.overlay import draw_overlay

OVERVIEW = "overview.jpg"
SHOWN, _COLUMNS, _WIDTH, _QUALITY = 9, 3, 320, 80


def shown(names: Sequence[str]) -> list[str]:
    """At most SHOWN of the names, evenly spread."""
    step = len(names) / min(SHOWN, len(names))
    return [names[int(i * step)] for i in range(min(SHOWN, len(names)))]


def tile(rgb: Image, mask: Mask, classes: ClassSet) -> Image:
    """A picture of the sheet: uint8 h×w×3."""
    height = max(1, round(rgb.shape[0] * _WIDTH / rgb.shape[1]))
    small = cv2.resize(rgb, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    return draw_overlay(small, mask, ModelCard(classes=classes.names, colors=classes.colors))


def sheet(tiles: Sequence[Image]) -> bytes:
    """JPEG bytes of the tiles in rows."""
    height = max(tile.shape[0] for tile in tiles)
    rows = -(-len(tiles) // _COLUMNS)
    page = np.full((rows * height, min(_COLUMNS, len(tiles)) * _WIDTH, 3), 255, np.uint8)
    for place, each in enumerate(tiles):
        top, left = place // _COLUMNS * height, place % _COLUMNS * _WIDTH
        page[top : top + each.shape[0], left : left + _WIDTH] = each
    return encode_jpeg(page, _QUALITY)
