"""Writes bags (rosbag2, mcap) that `ros2 bag`, rviz, Foxglove and PlotJuggler read; message definitions inside."""

from __future__ import annotations

import contextlib
from pathlib import Path
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
from dcfm_ros.media.messages import own_typestore

# Humble, Jazzy and later all read version 8 of the metadata.
_METADATA_VERSION: Literal[8] = 8
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
_NO_HASH = "RIHS01_" + 64 * "0"
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


class BagWriter(contextlib.AbstractContextManager["BagWriter"]):
    """A bag being written: a folder with one .mcap file (chunks compressed with zstd) or one .db3, and its metadata.

    Only a chunk of about one megabyte is held in memory. `close` completes the bag; a context manager does so on
    errors, too, so that what was recorded until then can be read.

    Args:
        storage: a key of `STORAGES`.

    Raises:
        DcfmError: the path exists already, or cannot be written.
    """

    def __init__(self, path: Path, storage: str = "mcap") -> None:
        self.path = path
        self.counts: dict[str, int] = {}
        self._connections: dict[str, Connection] = {}
        if path.exists():
            raise DcfmError(f"{path} already exists; remove it, or choose another output.")
        try:
            self._writer = Writer(path, version=_METADATA_VERSION, storage_plugin=STORAGES[storage])
            if storage == "mcap":
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except OSError as error:
            raise DcfmError(f"The bag {path} cannot be written: {error.strerror}.") from error

    def write(self, topic: str, kind: str, time_ns: int, message: Any) -> None:
        """Append a message of the type `kind`, made by `dcfm_ros.media.messages`, at the log time `time_ns`."""
        self.write_raw(topic, kind, time_ns, own_typestore().serialize_cdr(message, kind))

    def add_topic(self, topic: str, kind: str, definition: str = "", type_hash: str = "") -> None:
        """Announce a topic; needed before `write_raw` for types that this package does not know, with their definition.

        Raises:
            DcfmError: a type without a known definition.
        """
        if topic in self._connections:
            return
        if kind in own_typestore().types:
            about: dict[str, Any] = {"typestore": own_typestore()}
        elif definition:
            about = {"msgdef": definition, "rihs01": type_hash or _NO_HASH}
        else:
            raise DcfmError(f"The topic {topic} is {kind}, whose definition is neither known nor in the bag.")
        self._connections[topic] = self._writer.add_connection(
            topic, kind, offered_qos_profiles=(_RELIABLE,), **about
        )
        self.counts[topic] = 0

    def write_raw(self, topic: str, kind: str, time_ns: int, data: bytes | memoryview) -> None:
        """Append a message that is already serialized (CDR)."""
        self.add_topic(topic, kind)
        connection = self._connections[topic]
        try:
            self._writer.write(connection, time_ns, data)
        except OSError as error:
            raise DcfmError(
                f"The bag {self.path} cannot be written any further: {error.strerror}."
            ) from error
        self.counts[topic] += 1

    def close(self) -> None:
        """Write index and metadata; the bag is complete afterwards."""
        self._writer.close()

    def __exit__(self, *_: object) -> None:
        self.close()
