"""The files of a recorded bag: rosbag2 (sqlite3, mcap; compressed; split) and ROS 1, each read by `rosbags`.

`rosbags` raises whatever its parsers stumble over in a damaged file; everything it raises becomes one `DcfmError` here,
at the border.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader
from ruamel.yaml import YAML

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.mended_mcap import MendedMcap, is_cut_off
from dcfm_ros.media.source import natural_key

_STORAGE_SUFFIXES = (".mcap", ".db3")
_COMPRESSED_SUFFIX = ".zstd"
_PART_NUMBER = re.compile(r"_(\d+)(?:\.(?:mcap|db3|bag|zstd))+$")


def is_bag(path: Path) -> bool:
    """Whether the path looks like a bag: by name and layout, not by content."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or _is_one(list(path.glob("*.bag")) or _storage_files(path))
    return path.suffix in (*_STORAGE_SUFFIXES, ".bag", _COMPRESSED_SUFFIX)


def _is_one(files: list[Path]) -> bool:
    """Whether these are one recording: a single file, or parts as recorders number them, from 0 on (`drive_0.mcap`)."""
    numbers = [_PART_NUMBER.search(file.name) for file in files]
    parts = {int(number[1]) for number in numbers if number}
    return len(files) == 1 or (0 in parts and len(parts) == len(files))


class Part:
    """One file of a bag, or a whole folder that `rosbags` reads in one go. Open only while something is read."""

    reader: Any
    problem = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        with self.reader(self.path) as reader:
            yield reader

    def summary(self) -> tuple[int, int, dict[tuple[str, str], int]]:
        """First and last log time in ns, and the number of messages by (topic, type)."""
        counts: dict[tuple[str, str], int] = {}
        with self.opened() as reader:
            for connection in reader.connections:
                key = (connection.topic, connection.msgtype)
                counts[key] = counts.get(key, 0) + connection.msgcount
            return reader.start_time, reader.end_time - 1, counts

    def messages(self, names: Sequence[str] | None = None) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (connection, log time, serialized message) of the topics named; None: of all."""
        with self.opened() as reader:
            wanted = [each for each in reader.connections if names is None or each.topic in names]
            if wanted:  # `rosbags` takes none for all
                yield from reader.messages(wanted)


class Ros1Part(Part):
    reader = Ros1Reader


class Ros2Part(Part):
    reader = Ros2Reader


class CutOffPart(Part):
    """An .mcap whose end is missing."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._mended = MendedMcap(path)
        self.problem = (
            f"{path.name} is cut off: its index and its last {self._mended.lost} bytes could not be read"
        )

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        with Ros2Reader(cast(Any, self._mended)) as reader:
            yield reader


class ZstdPart(Ros2Part):
    """A storage file compressed as a whole: unpacked to a temporary file, one at a time, while it is read."""

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        with tempfile.TemporaryDirectory(prefix="dcfm_bag_") as folder:
            unpacked = Path(folder) / self.path.stem
            with _zstd().open(self.path, "rb") as packed, unpacked.open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
            with Ros2Reader(unpacked) as reader:
                yield reader


def _zstd() -> Any:
    # What `rosbags` itself uses: part of Python from 3.14 on, a package before that.
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def parts_of(path: Path) -> list[Part]:
    """The parts of a bag, in the order in which they were recorded.

    Raises:
        DcfmError: an empty file, no valid metadata, or files missing.
    """
    if path.suffix == ".bag" and path.is_file():
        return [Ros1Part(path)]
    if path.is_file():
        if path.stat().st_size == 0:
            raise DcfmError(f"The bag {path} is an empty file.")
        return [_ros2_part(path)]
    if (path / "metadata.yaml").exists():
        files = _listed_files(path)
        parts = [_ros2_part(file) for file in files]
        return parts if any(type(part) is not Ros2Part for part in parts) else [Ros2Part(path)]
    ros1 = sorted(path.glob("*.bag"))
    if ros1:
        return [Ros1Part(file) for file in ros1]
    # A recorder that was killed leaves no metadata.yaml; the storage files stand on their own.
    return [_ros2_part(file) for file in _storage_files(path)]


def _ros2_part(file: Path) -> Part:
    """A storage file by itself."""
    if file.suffix == _COMPRESSED_SUFFIX:
        return ZstdPart(file)
    return CutOffPart(file) if file.suffix == MendedMcap.suffix and is_cut_off(file) else Ros2Part(file)


def _storage_files(folder: Path) -> list[Path]:
    names = [*_STORAGE_SUFFIXES, *(suffix + _COMPRESSED_SUFFIX for suffix in _STORAGE_SUFFIXES)]
    return sorted((file for file in folder.iterdir() if file.name.endswith(tuple(names))), key=natural_key)


def _listed_files(folder: Path) -> list[Path]:
    """The storage files a metadata.yaml lists.

    Raises:
        DcfmError: no valid metadata, or files missing.
    """
    try:
        loaded = YAML(typ="safe").load((folder / "metadata.yaml").read_text())
        names = loaded["rosbag2_bagfile_information"]["relative_file_paths"]
        files = [folder / Path(name).name for name in names]
    except Exception as error:
        raise DcfmError(
            f"{folder / 'metadata.yaml'} is not valid rosbag2 metadata ({_first_line(error)}); "
            f"rebuild it with `ros2 bag reindex {folder}`, or remove it: the storage files can be read without it."
        ) from error
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise DcfmError(f"The bag {folder} lacks {', '.join(missing)}, which its metadata.yaml lists.")
    if not files:
        raise DcfmError(f"The bag {folder} is empty: its metadata.yaml lists no files.")
    return files


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
            f"The bag {path} is damaged or cut off ({_first_line(error)}). A recording that was not closed properly can "
            f"often be repaired: `mcap recover` for .mcap, `ros2 bag reindex` for a folder, `rosbag reindex` for ROS 1."
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__
