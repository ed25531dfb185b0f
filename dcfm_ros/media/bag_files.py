"""The files of a recorded bag: rosbag2 (sqlite3, mcap; compressed; split) and ROS 1.

Parsers raise whatever they stumble over in a damaged file; everything they raise becomes one `DcfmError` here, at the
border. What a file or a metadata.yaml announces is compared with what is there, and differences are told.
"""

from __future__ import annotations

import bz2
import contextlib
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import lz4.frame  # type: ignore[import-untyped]
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag1.reader import Chunk, ChunkInfo

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.table import counted
from dcfm_ros.media.bag_writer import LATCHED, RELIABLE
from dcfm_ros.media.mcap_file import McapFile
from dcfm_ros.media.source import natural_key
from dcfm_ros.media.sqlite_file import MAGIC as SQLITE_MAGIC
from dcfm_ros.media.sqlite_file import SqliteFile
from dcfm_ros.media.storage import ZSTD_MAGIC, Channel, Damaged, Part, unbz2, unlz4, unzstd_file
from dcfm_ros.strict_yaml import strict_yaml

_STORAGE_SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd", ".mcap.active", ".db3.active")
_ROS1_SUFFIXES = (".bag", ".bag.active")
_EMPTY_ROS1 = 4117  # bytes of a bag without messages: its name and its header
_PART_NUMBER = re.compile(r"_(\d+)(?:\.(?:mcap|db3|bag|zstd|active))+$", re.IGNORECASE)


def is_bag(path: Path) -> bool:
    """Whether the path looks like a bag: by name and layout, not by content."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or _is_one(_ros1_files(path) or _storage_files(path))
    return _ends_in(path, (*_STORAGE_SUFFIXES, *_ROS1_SUFFIXES))


def _is_one(files: list[Path]) -> bool:
    """Whether these are one recording: a single file, or parts as recorders number them, from 0 on (`drive_0.mcap`)."""
    numbers = _part_numbers(files)
    return len(files) == 1 or (0 in numbers and len(numbers) == len(files))


def _part_numbers(files: list[Path]) -> set[int]:
    return {int(number[1]) for file in files if (number := _PART_NUMBER.search(file.name))}


class BoundedReader(Ros1Reader):
    """A reader whose chunks unpack to no more than a recording's do. index_end: where in the file its index ends."""

    index_end = 0

    def read_chunk_info(self) -> ChunkInfo:
        info = super().read_chunk_info()
        assert self.bio
        self.index_end = self.bio.tell()
        return info

    def read_chunk(self) -> Chunk:
        chunk = super().read_chunk()
        unpack = {bz2.decompress: unbz2, lz4.frame.decompress: unlz4}.get(chunk.decompressor)
        return chunk._replace(decompressor=unpack) if unpack else chunk


class Ros1File:
    """A ROS 1 bag; see `Part`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with BoundedReader(path) as reader:
            self.problem = "; ".join(_unindexed(reader, path))
            self._known = {
                connection.id: Channel(
                    connection.topic,
                    connection.msgtype,
                    connection.msgcount,
                    "ros1",
                    qos=(LATCHED if getattr(connection.ext, "latching", 0) else RELIABLE,),
                )
                for connection in reader.connections
            }
        self.channels = list(self._known.values())

    def messages(self, topics: Collection[str] | None) -> Iterator[tuple[Channel, int, bytes]]:
        with BoundedReader(self.path) as reader:
            wanted = [each for each in reader.connections if topics is None or each.topic in topics]
            if wanted:  # `rosbags` takes none for all
                for connection, time_ns, data in reader.messages(wanted):
                    yield self._known[connection.id], time_ns, data


def _unindexed(reader: BoundedReader, path: Path) -> Iterator[str]:
    """What the index leaves out, which is all that `rosbags` looks at."""
    behind = path.stat().st_size - reader.index_end
    if behind and (reader.index_end or behind > _EMPTY_ROS1):
        yield f"{path.name}: {counted(behind, 'byte')} after its index not read"
    announced: Counter[int] = Counter()
    for chunk in reader.chunk_infos:
        announced.update(chunk.connection_counts)
    for each in reader.connections:
        if announced[each.id] != each.msgcount:
            told = counted(announced[each.id], "message")
            yield f"{path.name} announces {told} of {each.topic} and lists {each.msgcount}"


class ZstdFile:
    """A storage file compressed as a whole: unpacked to a temporary file, one at a time, while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._unpacked() as (part, missing):
            self.channels = part.channels
            self.problem = missing or part.problem

    def messages(self, topics: Collection[str] | None) -> Iterator[tuple[Channel, int, bytes]]:
        with self._unpacked() as (part, _):
            yield from part.messages(topics)

    @contextlib.contextmanager
    def _unpacked(self) -> Iterator[tuple[Part, str]]:
        """The file in the file, and what is missing of it."""
        with tempfile.TemporaryDirectory(prefix="dcfm_bag_") as folder:
            unpacked = Path(folder) / self.path.stem
            with unpacked.open("wb") as file:
                missing = unzstd_file(self.path, file, shutil.disk_usage(folder).free)
            if missing and not unpacked.stat().st_size:
                raise Damaged(missing)
            yield _ros2_part(unpacked), missing


def parts_of(path: Path) -> tuple[list[Part], list[str]]:
    """The parts of a bag, in the order in which they were recorded, and what of them is not as its metadata.yaml says.

    Raises DcfmError: an empty file, no valid metadata, or all files missing.
    """
    if path.is_file():
        if path.stat().st_size == 0:
            raise DcfmError(f"The bag {path} is an empty file.")
        return _parts([path])
    if (path / "metadata.yaml").exists():
        files, announced = _metadata(path)
        missing = [file.name for file in files if not file.exists()]
        if len(missing) == len(files):
            raise DcfmError(f"The bag {path} lacks {', '.join(missing)}, which its metadata.yaml lists.")
        parts, notes = _parts([file for file in files if file.name not in missing])
        if missing:
            notes.append(f"listed in metadata.yaml but missing: {', '.join(missing)}")
        there = [*_storage_files(path), *_ros1_files(path)]
        unlisted = [file.name for file in there if file not in files]
        if unlisted:
            notes.append(f"metadata.yaml does not list {', '.join(unlisted)}: not read")
        return parts, notes or _differences(announced, parts)
    # A recorder that was killed leaves no metadata.yaml; the storage files stand on their own.
    ros1, ros2 = _ros1_files(path), _storage_files(path)
    files = ros1 or ros2
    parts, notes = _parts(files)
    if ros1 and ros2:
        notes.append(f"{', '.join(file.name for file in ros2)}: not read; there are ROS 1 bags, too")
    numbers = _part_numbers(files)
    if lost := sorted({*range(max(numbers, default=0))} - numbers) if len(files) > 1 else []:
        notes.append(f"missing among its files: number {', '.join(map(str, lost))}")
    return parts, notes


def _parts(files: list[Path]) -> tuple[list[Part], list[str]]:
    """Those of the files that can be read, and what is wrong with the others and with these."""
    parts, notes = [], []
    for file in files:
        try:
            part = _part(file)
        except Exception as error:  # whatever a parser stumbles over
            if len(files) == 1:
                raise
            notes.append(f"{file.name} could not be read ({first_line(error)})")
        else:
            parts.append(part)
            notes += [part.problem] if part.problem else []
    if not parts:
        raise Damaged("; ".join(notes))
    return parts, notes


def _part(file: Path) -> Part:
    """A file of a bag by itself."""
    if file.stat().st_size == 0:
        raise Damaged(f"{file.name} is empty")
    return Ros1File(file) if _ends_in(file, _ROS1_SUFFIXES) else _ros2_part(file)


def _ros2_part(file: Path) -> Part:
    with file.open("rb") as opened:
        begins = opened.read(max(map(len, (SQLITE_MAGIC, ZSTD_MAGIC))))
    if begins.startswith(ZSTD_MAGIC):
        return ZstdFile(file)
    return SqliteFile(file) if begins.startswith(SQLITE_MAGIC) else McapFile(file)


def _differences(announced: dict[str, int], parts: list[Part]) -> list[str]:
    """Where the files hold another number of messages than the metadata announces, unless a file tells why itself."""
    held = messages_by_topic(parts)
    return [
        f"metadata.yaml announces {counted(announced.get(topic, 0), 'message')} of {topic}, the files hold {held[topic]}"
        for topic in sorted({*announced, *held})
        if announced.get(topic, 0) != held[topic]
    ]


def messages_by_topic(parts: Iterable[Part]) -> Counter[str]:
    """How many messages the files say they hold."""
    counts: Counter[str] = Counter()
    for part in parts:
        for channel in part.channels:
            counts[channel.topic] += channel.count
    return counts


def _ends_in(file: Path, suffixes: tuple[str, ...]) -> bool:
    return file.name.lower().endswith(suffixes)


def _storage_files(folder: Path, suffixes: tuple[str, ...] = _STORAGE_SUFFIXES) -> list[Path]:
    # What is hidden is a file manager's, as `._drive_0.mcap`.
    found = (file for file in folder.iterdir() if _ends_in(file, suffixes) and file.name[0] != ".")
    return sorted(found, key=natural_key)


def _ros1_files(folder: Path) -> list[Path]:
    return _storage_files(folder, _ROS1_SUFFIXES)


def _metadata(folder: Path) -> tuple[list[Path], dict[str, int]]:
    """The storage files a metadata.yaml lists, and how many messages of each topic it announces.

    Raises DcfmError: no valid metadata, or no files in it.
    """
    try:
        about = strict_yaml((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
        files = list(dict.fromkeys(folder / Path(name).name for name in about["relative_file_paths"]))
        announced: Counter[str] = Counter()
        for topic in about["topics_with_message_count"]:
            announced[topic["topic_metadata"]["name"]] += int(topic["message_count"])
    except Exception as error:
        raise DcfmError(
            f"{folder / 'metadata.yaml'} is not valid rosbag2 metadata ({first_line(error)}); "
            f"rebuild it with `ros2 bag reindex {folder}`, or remove it: the storage files can be read without it."
        ) from error
    if not files:
        raise DcfmError(f"The bag {folder} is empty: its metadata.yaml lists no files.")
    if len(_part_numbers(files)) == len(files):  # whatever order they are listed in
        files.sort(key=natural_key)
    return files, dict(announced)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever the parsers raise on a damaged file into one message."""
    try:
        yield
    except (DcfmError, MemoryError):
        raise
    except PermissionError as error:
        raise DcfmError(f"No permission to read the bag {path}.") from error
    except Exception as error:
        raise DcfmError(
            f"The bag {path} is damaged or cut off ({first_line(error)}). A recording that was not closed properly can "
            f"often be repaired: `mcap recover` for .mcap, `ros2 bag reindex` for a folder, `rosbag reindex` for ROS 1."
        ) from error


def first_line(error: Exception) -> str:
    """An error's text for within a sentence."""
    text = str(error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__
