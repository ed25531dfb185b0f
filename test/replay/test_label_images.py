"""Label files as tools write them: the ids that were meant, or a refusal with the reason."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.label_image import class_ids

COLOURS = ((128, 64, 128), (70, 70, 70), (0, 0, 230), (1, 2, 3))


def png(values, depth, kind):
    """A PNG of `depth` bits per value; kind 0: grey, 3: with a palette."""
    height, width = values.shape
    bits = np.unpackbits(values[..., None], axis=2)[..., 8 - depth :].reshape(height, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    palette = chunk(b"PLTE", bytes(range(3 * 2**depth % 766))) + chunk(b"tRNS", b"\0") if kind == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + head + palette + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", [0, 3])
def test_values_of_every_depth_and_places_in_a_palette(depth, kind):
    values = np.random.default_rng(depth).integers(0, 2**depth, (7, 13), np.uint8)
    assert (class_ids(png(values, depth, kind), "here") == values).all()


def test_colours_of_classes():
    ids = np.random.default_rng(0).integers(0, 4, (6, 5), np.uint8)
    rgb = np.array(COLOURS, np.uint8)[ids]
    packed = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
    assert (class_ids(packed, "here", COLOURS) == ids).all()
    with pytest.raises(DcfmError, match=r"colours of no class, or of several, such as \(1, 2, 3\);"):
        class_ids(packed, "here", COLOURS[:3])
    with pytest.raises(DcfmError, match=r"uint8 with shape \(6, 5, 3\); expected 8 bits"):
        class_ids(packed, "here")


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff", ".bmp", ".pbm"])
def test_formats_that_change_values_are_refused(suffix):
    packed = cv2.imencode(suffix, np.zeros((16, 16), np.uint8))[1].tobytes()
    with pytest.raises(DcfmError, match=r"is [A-Z]+, which may change values; expected 8-bit PNG"):
        class_ids(packed, "here")


def test_what_is_no_label_is_refused():
    deep = cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes()
    with pytest.raises(DcfmError, match="is uint16"):
        class_ids(deep, "here")
    whole = png(np.zeros((4, 4), np.uint8), 4, 3)
    no_depth = whole[:24] + b"\0" + whole[25:]
    for damaged in (b"", b"no image", whole[:60], no_depth):
        with pytest.raises(DcfmError, match="A label image of here is unreadable"):
            class_ids(damaged, "here")
