"""Label images: PNG, grey or palette, of any depth up to 8 bits, or in the classes' colours."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from zlib import crc32

import cv2
import numpy as np

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.image_file import decode_known, header_of
from dcfm_ros.media.image_header import BadImage

_PNG = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3
_DEPTHS = 1, 2, 4, 8  # bits per value of those that fit into a byte
_DEPTH = 24  # where in a PNG its bits per value are; the kind of its pixels is behind it
_MAX_COLOURS = 3  # that a message lists

Colours = Sequence[tuple[int, int, int]]


def class_ids(packed: bytes | memoryview, what: str, colours: Colours = ()) -> Mask:
    """The class ids in a label file: uint8 H×W, 255 for unlabelled.

    One value per pixel is a class id, in a palette PNG the place in the palette. Three are a colour, which must be that of a
    class.

    what: where it is from, for messages; the same for all labels of a place, so that equal problems can be
    counted. colours: RGB of the classes, by id; none where they are not known.
    Raises DcfmError: no PNG (others decode to something else than their values), or colours that are of no class.
    """
    data = bytes(packed)
    try:
        header = header_of(data, "it")
        if header.kind != "png":
            raise DcfmError(
                f"A label image of {what} is {header.kind.upper()}, which may change values; "
                f"expected 8-bit PNG, value = class id."
            )
        data, step = _as_grey(data)
        image = decode_known(data, cv2.IMREAD_UNCHANGED, "it", header)
    except BadImage as error:
        raise DcfmError(f"A label image of {what} is unreadable: {error}") from error
    if image.dtype == np.uint8 and image.ndim == 2:
        return image // step if step > 1 else image
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and colours:
        return _by_colour(image[..., ::-1], what, colours)
    raise DcfmError(
        f"A label image of {what} is {image.dtype} with shape {image.shape}; "
        f"expected 8 bits, one channel, value = class id."
    )


def _as_grey(png: bytes) -> tuple[bytes, int]:
    """A grey or palette PNG as one that decodes to its own values, times the second result; other PNGs as they are.

    Decoders replace places in a palette by its colours, and stretch values of less than 8 bits to 0-255.
    """
    depth, kind = png[_DEPTH], png[_DEPTH + 1]
    if kind not in (_GREY, _PALETTE) or depth not in _DEPTHS:
        return png, 1
    kept = (
        png_chunk(name, content[:9] + bytes([_GREY]) + content[10:] if name == b"IHDR" else content)
        for name, content in _chunks(png)
        if name in (b"IHDR", b"IDAT", b"IEND")
    )
    return _PNG + b"".join(kept), 255 // (2**depth - 1)


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A part of a PNG as it stands in the file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc32(name + content))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _by_colour(rgb: Image, what: str, colours: Colours) -> Mask:
    """Class ids of a picture in the classes' colours. Raises DcfmError where one of its colours is of no class, or of two."""
    values = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, places = np.unique(values, return_inverse=True)
    ids: dict[int, list[int]] = {}
    for number, (red, green, blue) in enumerate(colours):
        ids.setdefault(red << 16 | green << 8 | blue, []).append(number)
    unknown = [int(value) for value in found if len(ids.get(int(value), ())) != 1]
    if unknown:
        some = ", ".join(f"({v >> 16}, {v >> 8 & 255}, {v & 255})" for v in unknown[:_MAX_COLOURS])
        raise DcfmError(
            f"A label image of {what} has colours of no class, or of several, such as {some}; "
            f"expected 8 bits, one channel, value = class id, or the classes' own colours."
        )
    table = np.array([ids[int(value)][0] for value in found], np.uint8)
    return table[places].reshape(values.shape)
