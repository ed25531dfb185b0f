"""The parts of a JPEG file, found as libjpeg finds them, and the bytes between them that are nobody's."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from dcfm_ros.errors import DcfmError

MAX_SEGMENTS = 4096  # colour profiles take 255 of them at most
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
_BASELINE, _TABLES = (0xC0, 0xC1), 0xC4
_HOLE = bytes(32)
_LONE = (0x01, *range(0xD0, 0xD8))  # without a length
_BEGIN = re.compile(rb"(?:\xff\xd8)*")  # some cameras say it twice
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
# In a scan: a marker that ends it, not a stuffed 0xFF, a restart or a fill byte.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_RESTART = re.compile(rb"(\xff[\xd0-\xd7])")


class BadImage(DcfmError):
    """An image that cannot be used: its message says what was expected and what came."""


class Part(NamedTuple):
    """A segment, and with a scan's header its data. begin: of its marker. end: behind its last byte."""

    marker: int
    begin: int
    end: int


def parts(data: memoryview) -> Iterator[Part]:
    """The parts of the picture itself (a thumbnail's lie within one of them), the end of the image being the last.

    Raises BadImage where that does not come, or only after more than MAX_SEGMENTS.
    """
    at = _BEGIN.match(data).end()  # type: ignore[union-attr]
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            break
        begin, at = found.span()
        marker = data[at - 1]
        if marker == END_OF_IMAGE:
            yield Part(marker, begin, at)
            return
        if marker in _LONE:
            continue
        if at + 2 > len(data):
            break
        at += struct.unpack_from(">H", data, at)[0]
        if marker == START_OF_SCAN:
            end = _END_OF_SCAN.search(data, at)
            if end is None:
                break
            at = end.start()
        yield Part(marker, begin, at)
    else:
        raise BadImage(f"a JPEG of more than {MAX_SEGMENTS} segments")
    raise BadImage("a truncated JPEG")


def without_padding(data: memoryview) -> bytes:
    """The same picture without what cameras add: a second begin, bytes between segments, zeros behind the data of a scan
    or of a restart interval.

    Bytes other than zeros stay there: they may be what a decoder could not make sense of.
    """
    kept = [b"\xff\xd8"]
    for part in parts(data):
        piece = bytes(data[part.begin : part.end])
        kept += map(_stripped, _RESTART.split(piece)) if part.marker == START_OF_SCAN else [piece]
    return b"".join(kept)


def has_hole(data: memoryview) -> bool:
    """Whether zeros stand in place of a part of a scan, as of a packet that was lost, which no decoder complains of.

    They would be blocks of equal coefficients, which no picture has. Only where the tables begin with the end of a block
    may they be a flat picture.
    """
    if _HOLE not in bytes(data):
        return False
    first = {
        0: 1,
        1: 0,
    }  # what zeros mean in the standard's tables, of brightness and of colour; 0 is the end of a block
    baseline = False
    for part in parts(data):
        piece = bytes(data[part.begin : part.end])
        if part.marker == _TABLES:
            first |= _first_symbols(piece[4:])
        elif part.marker == START_OF_SCAN and baseline:
            used = piece[6 : 5 + 2 * piece[4] : 2]
            if any(first.get(table & 15) for table in used):
                return any(_HOLE in _stripped(each) for each in _RESTART.split(piece))
        baseline |= part.marker in _BASELINE
    return False


def _first_symbols(tables: bytes) -> dict[int, int]:
    """The symbol of the code of zeros in each of these tables of coefficients, by number."""
    found = {}
    while len(tables) > 17:
        if tables[0] >> 4:
            found[tables[0] & 15] = tables[17]
        tables = tables[17 + sum(tables[1:17]) :]
    return found


def _stripped(piece: bytes) -> bytes:
    bare = piece.rstrip(b"\0")
    return piece[: len(bare) + 1] if bare.endswith(b"\xff") else bare  # 0xFF is written as 0xFF 0x00
