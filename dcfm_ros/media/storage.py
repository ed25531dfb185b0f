"""What the storage files of all recordings have in common: their channels, and how far packed data may grow."""

from __future__ import annotations

import bz2
import importlib
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import lz4.frame  # type: ignore[import-untyped]
from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos

from dcfm_ros.errors import DcfmError
from dcfm_ros.strict_yaml import strict_yaml

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_UNPACKED = 512 << 20
"""Bytes of a message or a chunk: twice an 8K image of 16 bits per value. What a file claims beyond is not unpacked."""
_MAX_GROWTH, _ALLOWANCE = 1000, 128 << 20
_BLOCK = 1 << 20


class Damaged(Exception):
    """Data that is not what its format says; the message says how, in a few words."""


@dataclass(frozen=True)
class Channel:
    """A topic in one file: its messages' type, and all that another bag needs to know to hold them, too."""

    topic: str
    type: str
    count: int  # of messages, as the file announces it
    serialization: str = "cdr"  # or "ros1", or what else the recorder wrote
    definition: str = ""
    type_hash: str = ""
    qos: tuple[Qos, ...] = ()


class Part(Protocol):
    """One file of a recording. It is open only while something is read.

    problem: what of it cannot be read, known from its index or from going through it; "" where it is whole.
    """

    problem: str
    channels: list[Channel]

    def messages(self, topics: Collection[str] | None) -> Iterator[tuple[Channel, int, bytes]]:
        """Yield (channel, log time in ns, serialized message) of these topics, or of all; in log-time order.

        Messages that are damaged are left out where the format lets one find the next.
        """
        ...


def qos_profiles(text: Any) -> tuple[Qos, ...]:
    """The offered profiles as recorders write them (YAML); none where they cannot be read."""
    try:
        return tuple(parse_qos(strict_yaml(text)))
    except Exception:  # whatever the library's parser stumbles over
        return ()


def grown_too_far(packed: int, unpacked: int) -> bool:
    """Whether so many packed bytes have no business to become so many."""
    return unpacked > min(MAX_UNPACKED, _ALLOWANCE + _MAX_GROWTH * packed)


def zstd() -> Any:
    """Zstandard: part of Python from 3.14 on, a package before that."""
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def unzstd(packed: bytes, size: int | None = None) -> bytes:
    """What `packed` holds, `size` bytes where that is known. Raises Damaged."""
    return _unpacked(zstd().ZstdDecompressor, packed, size, zstd().ZstdError)


def unlz4(packed: bytes, size: int | None = None) -> bytes:
    """As `unzstd`, for lz4 frames."""
    return _unpacked(lz4.frame.LZ4FrameDecompressor, packed, size, RuntimeError)


def unbz2(packed: bytes, size: int | None = None) -> bytes:
    """As `unzstd`, for bzip2."""
    return _unpacked(bz2.BZ2Decompressor, packed, size, (OSError, ValueError))


def _unpacked(unpacker_of: Callable[[], Any], packed: bytes, size: int | None, errors: Any) -> bytes:
    """What one or several streams hold, one after the other. errors: what the unpacker raises where they are damaged."""
    limit = size if size is not None else min(MAX_UNPACKED, _ALLOWANCE + _MAX_GROWTH * len(packed))
    parts, room = [], limit + 1
    try:
        while packed and room > 0:
            unpacker = unpacker_of()
            parts.append(unpacker.decompress(packed, room))
            room -= len(parts[-1])
            if not unpacker.eof and room > 0:
                raise Damaged("compressed data that is cut off")
            packed = unpacker.unused_data or b""
    except errors as error:
        raise Damaged("compressed data that is damaged") from error
    if room <= 0:
        raise Damaged(f"compressed data of more than {limit} bytes")
    return b"".join(parts)


def unzstd_file(packed: Path, file: BinaryIO, free: int) -> str:
    """Write what the file `packed` holds into `file`; returns what is missing of it, "" if nothing.

    Raises DcfmError: it would not fit into `free` bytes, or grows as no recording does.
    """
    limit = min(free, 2 * _ALLOWANCE + _MAX_GROWTH * packed.stat().st_size // 10)
    size = 0
    with zstd().open(packed, "rb") as source:
        while True:
            try:
                block = source.read(_BLOCK)
            except (EOFError, zstd().ZstdError):
                return f"{packed.name} is cut off or damaged after {size} bytes of what it packs"
            if not block:
                return ""
            size += len(block)
            if size > limit:
                raise DcfmError(
                    f"{packed} unpacks to more than {limit / 1e6:.0f} MB, which "
                    + ("the temporary folder has no room for" if limit == free else "no recording does")
                    + "; unpack it by hand (`zstd -d`) if you trust it."
                )
            file.write(block)
