"""Reads .mcap files: with an index, with part of one, without any, or cut off, as a recorder leaves them that loses power.

An index is believed where it agrees with the file's own statistics. Otherwise the file is gone through from first to last:
what is there is read, and what is damaged, or announced and not there, is told.
"""

from __future__ import annotations

import heapq
import itertools
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from dcfm_ros.measure.table import counted
from dcfm_ros.media.storage import MAX_UNPACKED, Channel, Damaged, grown_too_far, qos_profiles, unlz4, unzstd

MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _STATISTICS, _DATA_END = (
    0x02, 0x03, 0x04, 0x05, 0x06, 0x08, 0x0B, 0x0F,
)  # fmt: skip
_RECORD = struct.Struct("<BQ")  # its kind, and how many bytes follow
_FOOTER_SIZE = _RECORD.size + 20 + len(MAGIC)
_MESSAGE_HEAD = struct.Struct("<HIQQ")
_INDEX_RECORD_HEAD, _INDEX_ENTRY = 15, 16
_DEFINITIONS = ("ros2msg", "ros2idl", "omgidl")

_Message = tuple[int, int, bytes]  # number of its channel, log time in ns, data


@dataclass(frozen=True)
class _Chunk:
    """An entry of the chunk index. at: where the chunk's record begins. counts: messages by channel number."""

    start_ns: int
    at: int
    counts: dict[int, int]


class McapFile:
    """An .mcap file; see `Part`. Reading its index, or going through it, happens once, when it is made.

    Raises Damaged: not an .mcap file at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = path.stat().st_size
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._known: dict[int, Channel] = {}
        self._chunks: list[_Chunk] = []
        self._statistics: Counter[int] | None = None
        self._announced = 0
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise Damaged("it does not begin as an MCAP file does")
            self._whole = self._read_summary(file)
            self.indexed = self._index_is_right()
            self.problem = "" if self.indexed else self._count(file)
        counts: Counter[int] = self._statistics or Counter()
        self._known = {number: replace(one, count=counts[number]) for number, one in self._known.items()}
        self.channels = list(self._known.values())

    def messages(self, topics: Collection[str] | None) -> Iterator[tuple[Channel, int, bytes]]:
        wanted = {n: one for n, one in self._known.items() if topics is None or one.topic in topics}
        with self.path.open("rb") as file:
            found = self._by_index(file, wanted) if self.indexed else self._through(file, [])
            for number, time_ns, data in found:
                if number in wanted:
                    yield wanted[number], time_ns, data

    def _read_summary(self, file: BinaryIO) -> bool:
        """Read the index at the end of the file; false where the file has no proper end."""
        file.seek(max(0, self._size - _FOOTER_SIZE))
        footer = file.read()
        if footer[-len(MAGIC) :] != MAGIC or footer[:1] != bytes([_FOOTER]) or len(footer) != _FOOTER_SIZE:
            return False
        (summary,) = struct.unpack_from("<Q", footer, _RECORD.size)
        if not len(MAGIC) <= summary < self._size:
            return True
        try:
            for kind, begin, length in _records(file, summary, self._size):
                if kind in (_SCHEMA, _CHANNEL, _CHUNK_INDEX, _STATISTICS):
                    self._take(kind, _Fields(_content(file, begin, length)))
                elif kind == _FOOTER and begin - _RECORD.size != self._size - _FOOTER_SIZE:
                    raise Damaged("the end of another file before its own")
        except (Damaged, struct.error, ValueError):
            self._statistics = None
        return True

    def _take(self, kind: int, fields: _Fields) -> None:
        if kind == _SCHEMA:
            number = fields.number("<H")
            name, encoding = fields.text(), fields.text()
            definition = fields.text() if encoding in _DEFINITIONS else ""
            self._schemas[number] = name, encoding, definition
        elif kind == _CHANNEL:
            number, schema = fields.number("<H"), fields.number("<H")
            name, _, definition = self._schemas.get(schema, ("unknown", "", ""))
            topic, serialization, about = fields.text(), fields.text(), fields.pairs()
            if number in self._known and self._known[number].topic != topic:
                raise Damaged("two channels of one number")
            qos = qos_profiles(about.get("offered_qos_profiles"))
            type_hash = about.get("topic_type_hash", "")
            self._known[number] = Channel(topic, name, 0, serialization, definition, type_hash, qos)
        elif kind == _CHUNK_INDEX:
            self._chunks.append(_chunk_entry(fields))
        elif kind == _STATISTICS:
            self._announced = fields.number("<Q")
            fields.skip(34)
            self._statistics = Counter(dict(struct.iter_unpack("<HQ", fields.block())))

    def _index_is_right(self) -> bool:
        """Whether what the index lists is what the statistics count, and not nothing."""
        if self._statistics is None or not self._whole or not self._chunks:
            return False
        listed = sum((Counter(chunk.counts) for chunk in self._chunks), Counter[int]())
        known = all(number in self._known for number in self._statistics)
        return known and +listed == +self._statistics and listed.total() == self._announced

    def _count(self, file: BinaryIO) -> str:
        """Count the messages by going through the file; returns what cannot be read of it."""
        damaged: list[str] = []
        announced = self._announced if self._statistics is not None else None
        self._statistics = Counter(number for number, _, _ in self._through(file, damaged))
        found = self._statistics.total()
        if strays := found - sum(self._statistics[number] for number in self._known):
            damaged.append(f"{counted(strays, 'message')} of {self.path.name} without a topic")
        if announced is not None and found != announced:
            damaged.append(f"{self.path.name} announces {counted(announced, 'message')} and holds {found}")
        return "; ".join(damaged)

    def _by_index(self, file: BinaryIO, wanted: Collection[int]) -> Iterator[_Message]:
        """The messages of all chunks that have wanted ones, in log-time order; a chunk is read when its time comes."""

        def of(chunk: _Chunk) -> Iterator[tuple[int, _Message | None]]:
            yield chunk.start_ns, None
            try:
                ((_, begin, length),) = itertools.islice(_records(file, chunk.at, self._size), 1)
                found = [each for each in self._in_chunk(_content(file, begin, length)) if each[0] in wanted]
            except (Damaged, struct.error, ValueError):
                return  # whoever counts the messages misses them
            yield from ((each[1], each) for each in sorted(found, key=itemgetter(1)))

        chunks = {
            chunk.at: chunk for chunk in self._chunks if any(number in chunk.counts for number in wanted)
        }
        for _, message in heapq.merge(*map(of, chunks.values()), key=itemgetter(0)):
            if message is not None:
                yield message

    def _through(self, file: BinaryIO, damaged: list[str]) -> Iterator[_Message]:
        """All messages from first to last, by time within a chunk; `damaged` gets what cannot be read."""
        at, ended, bad = len(MAGIC), False, 0
        for kind, begin, length in _records(file, at, self._size):
            ended |= kind in (_DATA_END, _FOOTER)
            if kind == _FOOTER:
                at = begin + length + len(MAGIC)
                break
            try:
                if kind == _CHUNK:
                    yield from sorted(self._in_chunk(_content(file, begin, length)), key=itemgetter(1))
                elif kind == _MESSAGE:
                    yield _message(_content(file, begin, length))
                elif kind in (_SCHEMA, _CHANNEL):
                    self._take(kind, _Fields(_content(file, begin, length)))
            except (Damaged, struct.error, ValueError):
                bad += 1
            at = begin + length
        if bad:
            damaged.append(f"{counted(bad, 'record')} of {self.path.name} could not be read: damaged")
        lost = self._size - at
        if ended and lost > 0 and kind == _FOOTER:
            damaged.append(f"{self.path.name}: {counted(lost, 'byte')} after its end not read")
        elif not self._whole:
            rest = f" and its last {counted(lost, 'byte')}" if lost > 0 else ""
            damaged.append(f"{self.path.name} is cut off: its index{rest} could not be read")
        elif not ended:
            damaged.append(f"{self.path.name} is damaged from byte {at} on, which could not be read")

    def _in_chunk(self, chunk: bytes) -> Iterator[_Message]:
        content = _unpacked(chunk)
        stream = BytesIO(content)
        at = 0
        for kind, begin, length in _records(stream, 0, len(content)):
            if kind == _MESSAGE:
                yield _message(content[begin : begin + length])
            elif kind in (_SCHEMA, _CHANNEL):
                self._take(kind, _Fields(content[begin : begin + length]))
            at = begin + length
        if at != len(content):
            raise Damaged("a chunk that ends within a record")


class _Fields:
    """The fields of a record, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self._data, self._at)
        self.skip(struct.calcsize(form))
        return int(value)

    def skip(self, count: int) -> None:
        self._at += count

    def block(self) -> bytes:
        """Bytes, with their number before them."""
        size = self.number("<I")
        if self._at + size > len(self._data):
            raise Damaged("a record that ends within a field")
        self.skip(size)
        return self._data[self._at - size : self._at]

    def text(self) -> str:
        return self.block().decode()

    def pairs(self) -> dict[str, str]:
        inner = _Fields(self.block())
        found = {}
        while inner._at < len(inner._data):
            key = inner.text()
            found[key] = inner.text()
        return found


def _records(file: BinaryIO, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Kind, beginning and length of the records from `at` on; ends before one that is not whole."""
    while (at := at + _RECORD.size) <= end:
        file.seek(at - _RECORD.size)
        kind, length = _RECORD.unpack(file.read(_RECORD.size))
        if at + length > end:
            return
        yield kind, at, length
        at += length


def _content(file: BinaryIO, begin: int, length: int) -> bytes:
    if length > MAX_UNPACKED:
        raise Damaged(f"a record of {length} bytes")
    file.seek(begin)
    return file.read(length)


def _message(content: bytes) -> _Message:
    number, _, time_ns, _ = _MESSAGE_HEAD.unpack_from(content)
    return number, time_ns, content[_MESSAGE_HEAD.size :]


def _chunk_entry(fields: _Fields) -> _Chunk:
    start_ns = fields.number("<Q")
    fields.skip(8)
    at, length = fields.number("<Q"), fields.number("<Q")
    places = sorted((place, number) for number, place in struct.iter_unpack("<HQ", fields.block()))
    ends = [place for place, _ in places[1:]] + [at + length + fields.number("<Q")]
    counts = {
        number: max(0, end - place - _INDEX_RECORD_HEAD) // _INDEX_ENTRY
        for (place, number), end in zip(places, ends, strict=False)
    }
    return _Chunk(start_ns, at, counts)


def _unpacked(chunk: bytes) -> bytes:
    """The records in a chunk. Raises Damaged: not what its head says, in size or checksum."""
    fields = _Fields(chunk)
    fields.skip(16)
    size, checksum, compression = fields.number("<Q"), fields.number("<I"), fields.text()
    packed_size = fields.number("<Q")
    packed = chunk[fields._at : fields._at + packed_size]
    if len(packed) != packed_size or grown_too_far(packed_size, size):
        raise Damaged("a chunk whose size is not as stated")
    if compression == "zstd":
        content = unzstd(packed, size)
    elif compression == "lz4":
        content = unlz4(packed, size)
    elif compression == "":
        content = packed
    else:
        raise Damaged(f"a chunk compressed by {compression!r}")
    if len(content) != size or (checksum and crc32(content) != checksum):
        raise Damaged("a chunk whose checksum is wrong")
    return content
