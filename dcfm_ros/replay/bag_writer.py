"""Writes bags (rosbag2, mcap) that `ros2 bag`, rviz, Foxglove and PlotJuggler read; message definitions inside."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from dcfm_ros.errors import DcfmError
from dcfm_ros.replay.messages import own_typestore

# Version 8 of the metadata is what Humble, Jazzy and later all read.
_METADATA_VERSION: Literal[8] = 8
_FOREVER = QosTime(2147483647, 4294967295)
_RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    False,
)


class BagWriter:
    """A bag being written: a folder with one .mcap file (chunks compressed with zstd) and its metadata.

    Only a chunk of about one megabyte is held in memory. `close` makes the bag whole; used as a context manager this
    happens on errors, too, so that what was recorded until then can be read.

    Raises:
        DcfmError: the path exists already, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: dict[str, int] = {}
        self._connections: dict[str, Connection] = {}
        if path.exists():
            raise DcfmError(f"{path} exists already; remove it, or choose another output.")
        try:
            self._writer = Writer(path, version=_METADATA_VERSION, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except OSError as error:
            raise DcfmError(f"The bag {path} cannot be written: {error.strerror}.") from error

    def write(self, topic: str, kind: str, time_ns: int, message: Any) -> None:
        """Append a message of the type `kind`, made by `dcfm_ros.replay.messages`, at the log time `time_ns`."""
        self.write_raw(topic, kind, time_ns, own_typestore().serialize_cdr(message, kind))

    def write_raw(self, topic: str, kind: str, time_ns: int, data: bytes | memoryview) -> None:
        """Append a message that is serialized (CDR) already."""
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(
                topic, kind, typestore=own_typestore(), offered_qos_profiles=(_RELIABLE,)
            )
            self._connections[topic] = connection
            self.counts[topic] = 0
        try:
            self._writer.write(connection, time_ns, data)
        except OSError as error:
            raise DcfmError(f"The bag {self.path} cannot be written on: {error.strerror}.") from error
        self.counts[topic] += 1

    def close(self) -> None:
        """Write index and metadata; the bag is complete afterwards."""
        self._writer.close()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
