"""An .mcap whose end is missing, as a recorder leaves it when it loses power: what is there can still be read.

The messages lie in order in chunks; only the index at the end of the file is missing, and without it `rosbags` goes through
the chunks from first to last. All it insists on is that the file ends properly.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO, cast

MAGIC = b"\x89MCAP0\r\n"
_DATA_END = 0x0F
_RECORD = struct.Struct("<BQ")  # its kind, and how many bytes follow
# No checksum and no index, each of which the format allows.
_END = _RECORD.pack(_DATA_END, 4) + bytes(4) + _RECORD.pack(0x02, 20) + bytes(20) + MAGIC


def is_cut_off(path: Path) -> bool:
    """Whether this is an .mcap that ends too early."""
    size = path.stat().st_size
    with path.open("rb") as file:
        begins = file.read(len(MAGIC)) == MAGIC
        file.seek(max(0, size - len(MAGIC)))
        return begins and file.read() != MAGIC


class MendedMcap:
    """The file up to its last whole record, with an end appended: all that `rosbags` asks of a path.

    Attributes:
        lost: bytes at the end of the file that are left out.
    """

    suffix = ".mcap"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole = _whole_records(path)
        self.lost = path.stat().st_size - self._whole

    def open(self, *_: Any) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(_Joined(self._path, self._whole, _END), 1 << 20))

    def exists(self) -> bool:
        return True

    def is_dir(self) -> bool:
        return False

    def stat(self, **_: Any) -> os.stat_result:
        return self._path.stat()

    def __str__(self) -> str:
        return str(self._path)


def _whole_records(path: Path) -> int:
    """Where the last whole record of the file's data ends, in bytes."""
    size = path.stat().st_size
    at = len(MAGIC)
    with path.open("rb") as file:
        while at + _RECORD.size <= size:
            file.seek(at)
            kind, length = _RECORD.unpack(file.read(_RECORD.size))
            if kind == _DATA_END or at + _RECORD.size + length > size:
                break
            at += _RECORD.size + length
    return at


class _Joined(io.RawIOBase):
    """The first `whole` bytes of a file, and `end` after them."""

    def __init__(self, path: Path, whole: int, end: bytes) -> None:
        self._file = path.open("rb", buffering=0)
        self._whole, self._end = whole, end
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._whole + len(self._end)}
        self._at = origin[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at < self._whole:
            self._file.seek(self._at)
            data = self._file.read(min(len(buffer), self._whole - self._at)) or b""
        else:
            begin = self._at - self._whole
            data = self._end[begin : begin + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
