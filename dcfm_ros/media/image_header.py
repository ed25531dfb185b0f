"""What an image file says of itself, read before anything decodes it: a few bytes can ask for gigabytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from dcfm_ros.media.jpeg_parts import START_OF_SCAN, BadImage, parts

MAX_SIDE = 16384  # pixels; no camera has more, but corrupt headers do
MAX_PIXELS = 2**27
MAX_COMPRESSION = 4096  # bytes of pixels for each byte of the file; deflate reaches 1032, LZW 2500
MAX_CHUNKS = 2**16  # of a PNG; libpng makes one of 8 kB
MAX_SCANS = 100  # of a JPEG; usual progressive ones have 10, and each takes as long as a whole picture


class Header(NamedTuple):
    """What a file says of its picture."""

    kind: str  # jpeg, png, tiff, bmp, webp or pnm
    width: int
    height: int
    channels: int  # as stored
    bits: int  # of all in a pixel
    compressed: bool = True  # the file may be much smaller than its pixels


def check_size(what: str, width: int, height: int) -> None:
    """Raises BadImage for a size of zero or above MAX_SIDE."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise BadImage(f"{what} has size {width}×{height}; expected 1 to {MAX_SIDE} pixels on each side")


def read_header(data: memoryview, what: str) -> Header:
    """The header of an image file, of a size that can be decoded.

    what: what the file is, for messages.
    Raises BadImage: of none of the kinds, truncated, damaged, too large, or too small for the pixels it
    announces.
    """
    start = bytes(data[:16])
    parse = next((parse for magic, parse in _KINDS if magic.match(start)), None)
    if parse is None:
        raise BadImage(
            f"{what} ({len(data)} bytes) does not decode; expected a JPEG, PNG or TIFF, or in files BMP, WebP or PNM"
        )
    try:
        header = parse(data)
    except BadImage as error:
        raise BadImage(f"{what} ({len(data)} bytes): {error}") from error
    except (struct.error, IndexError, ValueError) as error:
        raise BadImage(f"{what} ({len(data)} bytes) has a truncated or damaged header") from error
    _check(header, len(data), what)
    return header


def _check(header: Header, length: int, what: str) -> None:
    check_size(what, header.width, header.height)
    pixels = header.width * header.height
    if pixels > MAX_PIXELS:
        raise BadImage(f"{what} has {header.width}×{header.height} pixels; expected {MAX_PIXELS} at most")
    if header.bits > 64:
        raise BadImage(f"{what} has {header.bits} bits per pixel; expected 64 at most")
    if pixels * header.bits > 8 * length * (MAX_COMPRESSION if header.compressed else 1):
        raise BadImage(
            f"{what} has {length} bytes, too few for {header.width}×{header.height} pixels; it is truncated"
        )


def _jpeg(data: memoryview) -> Header:
    header: Header | None = None
    scans = 0
    for marker, begin, _ in parts(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame; not a table
            depth, height, width, channels = struct.unpack_from(">BHHB", data, begin + 4)
            header = Header("jpeg", width, height, channels, channels * depth)
            _check(header, len(data), "the picture")
        scans += marker == START_OF_SCAN
        if scans > MAX_SCANS:
            raise BadImage(f"a JPEG of more than {MAX_SCANS} scans")
    if header is None:
        raise BadImage("a JPEG without a picture")
    return header


def _png(data: memoryview) -> Header:
    """Walks through the chunks: a length beyond the file makes decoders ask for as much memory."""
    start = bytes(data[8:26]).ljust(18, b"\0")
    length, name, width, height, depth, colour = struct.unpack(">I4sIIBB", start)
    if length != 13 or name != b"IHDR":
        raise BadImage("a PNG without a header")
    check_size("the picture", width, height)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0)
    at = 8
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            raise BadImage("a truncated PNG")
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IEND":
            return Header("png", width, height, channels, channels * depth)
        at += 12 + length
    raise BadImage(f"a PNG of more than {MAX_CHUNKS} chunks")


_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 277, 322, 323


def _tiff(data: memoryview) -> Header:
    order = "<" if data[0] == ord("I") else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    directory = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    count = struct.unpack_from(order + ("Q" if big else "H"), data, directory)[0]
    at, size = directory + (8 if big else 2), 20 if big else 12
    if at + count * size > len(data):
        raise ValueError
    tags: dict[int, int] = {}
    for entry in range(at, at + count * size, size):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT) and kind in _TIFF_TYPES:
            if tag in tags:  # which of them counts is each decoder's own choice
                raise BadImage("a TIFF that gives its size twice")
            tags[tag] = _tiff_value(data, entry, order, kind, big)
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    tile = tags.get(_TILE_WIDTH, 1), tags.get(_TILE_HEIGHT, 1)
    if max(tile) > MAX_SIDE or tile[0] * tile[1] > MAX_PIXELS:
        raise BadImage(f"a TIFF with tiles of {tile[0]}×{tile[1]} pixels")
    channels = tags.get(_SAMPLES, 1)
    return Header("tiff", width, height, channels, channels * tags.get(_BITS, 1))


def _tiff_value(data: memoryview, entry: int, order: str, kind: int, big: bool) -> int:
    """The first value of a tag: in the entry itself, or where that points to if there are too many."""
    wide = "Q" if big else "I"
    count, at = struct.unpack_from(order + wide, data, entry + 4)[0], entry + (12 if big else 8)
    if count * struct.calcsize(_TIFF_TYPES[kind]) > struct.calcsize(wide):
        at = struct.unpack_from(order + wide, data, at)[0]
    return int(struct.unpack_from(order + _TIFF_TYPES[kind], data, at)[0])


def _bmp(data: memoryview) -> Header:
    size = struct.unpack_from("<I", data, 14)[0]
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return Header("bmp", width, height, 3, bits, compressed=False)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression not in (0, 3):  # run lengths: a kilobyte may ask for gigabytes
        raise BadImage("a compressed BMP; expected one without compression")
    return Header("bmp", width, abs(height), 3, bits, compressed=False)


def _webp(data: memoryview) -> Header:
    name = bytes(data[12:16])
    if name == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        if len(data) < 30 or data[20] & 2:
            raise BadImage("an animated or truncated WebP")
    elif name == b"VP8L":
        packed = struct.unpack_from("<I", data, 21)[0]
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    # A blank picture takes next to nothing: its bytes tell nothing.
    return Header("webp", width, height, 3, 0)


_PNM = re.compile(rb"P([1-6])(?:\s+|#[^\n]*\n)+(\d+)(?:\s+|#[^\n]*\n)+(\d+)(?:(?:\s+|#[^\n]*\n)+(\d+))?")


def _pnm(data: memoryview) -> Header:
    match = _PNM.match(data[:4096])
    if match is None:
        raise ValueError
    kind, width, height = (int(number) for number in match.groups()[:3])
    channels = 3 if kind in (3, 6) else 1
    depth = 1 if kind in (1, 4) else 16 if int(match[4] or 1) > 255 else 8
    return Header("pnm", width, height, channels, channels * depth, compressed=False)


_KINDS: tuple[tuple[re.Pattern[bytes], Callable[[memoryview], Header]], ...] = (
    (re.compile(rb"\xff\xd8"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"II[*+]\x00|MM\x00[*+]"), _tiff),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"P[1-6]\s"), _pnm),
)
