"""Writes bags (rosbag2, mcap) that `ros2 bag`, rviz, Foxglove and PlotJuggler read; message definitions inside."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Sequence
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
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.messages import own_typestore

# Humble, Jazzy and later all read version 8 of the metadata.
_METADATA_VERSION: Literal[8] = 8
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
_IDL = "=" * 80 + "\nIDL: "
_NO_HASH = "RIHS01_" + 64 * "0"
_FOREVER = QosTime(2147483647, 4294967295)
_LAST_TEN = (QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE, QosDurability.VOLATILE)
RELIABLE = Qos(*_LAST_TEN, _FOREVER, _FOREVER, QosLiveliness.AUTOMATIC, _FOREVER, False)
LATCHED = RELIABLE._replace(depth=1, durability=QosDurability.TRANSIENT_LOCAL)
"""The QoS of a ROS 1 topic, and of one that keeps its newest message for whoever comes later."""


def _hash_of(kind: str, definition: str) -> str:
    """The hash by which ROS 2 tells versions of a type apart: an .mcap file of a recorder holds the definition alone."""
    store = get_typestore(Stores.EMPTY)
    try:
        idl = definition.startswith(_IDL)
        store.register(get_types_from_idl(definition) if idl else get_types_from_msg(definition, kind))
        return str(store.hash_rihs01(kind))
    except Exception:  # the library's parser does not understand it; players look at the type's name
        return _NO_HASH


# What the library lets through: a full disk, as files and as the database tell it; numbers that no field holds.
_WRITE_ERRORS = (OSError, sqlite3.Error, OverflowError, struct.error)


class _SqliteStorage(Sqlite3Writer):
    """The library's, in folders of any name: it puts the path unquoted into a URI, where "run #3" is cut at its #."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        self.path = path / f"{path.name}.db3"
        self.conn = sqlite3.connect(self.path)
        self.conn.executescript(self.SQLITE_SCHEMA)
        self.cursor = self.conn.cursor()


class BagWriter(contextlib.AbstractContextManager["BagWriter"]):
    """A bag being written: a folder with one .mcap file (chunks compressed with zstd) or one .db3, and its metadata.

    Only a chunk of about one megabyte is held in memory. `close` completes the bag; a context manager does so on
    errors, too, so that what was recorded until then can be read.

    storage: a key of `STORAGES`.
    Raises DcfmError: the path exists already, or cannot be written.
    """

    def __init__(self, path: Path, storage: str = "mcap") -> None:
        self.path = path
        self.counts: dict[str, int] = {}
        self._closed = False
        self._connections: dict[str, Connection] = {}
        if path.exists():
            raise DcfmError(f"{path} already exists; remove it, or choose another output.")
        try:
            self._writer = Writer(path, version=_METADATA_VERSION, storage_plugin=STORAGES[storage])
            self._writer.STORAGE_PLUGINS = {**Writer.STORAGE_PLUGINS, StoragePlugin.SQLITE3: _SqliteStorage}
            if storage == "mcap":
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except (OSError, sqlite3.Error) as error:
            raise DcfmError(f"The bag {path} cannot be written: {error}.") from error

    def write(self, topic: str, kind: str, time_ns: int, message: Any) -> None:
        """Append a message of the type `kind`, made by `dcfm_ros.media.messages`, at the log time `time_ns`."""
        self.write_raw(topic, kind, time_ns, own_typestore().serialize_cdr(message, kind))

    def add_topic(
        self,
        topic: str,
        kind: str,
        definition: str = "",
        type_hash: str = "",
        qos: Sequence[Qos] = (RELIABLE,),
    ) -> None:
        """Announce a topic; needed before `write_raw` for types that this package does not know, with their definition.

        qos: the profiles offered when it was recorded.
        Raises DcfmError: a type without a known definition.
        """
        if topic in self._connections:
            return
        if kind in own_typestore().types:
            about: dict[str, Any] = {"typestore": own_typestore()}
        elif definition:
            about = {"msgdef": definition, "rihs01": type_hash or _hash_of(kind, definition)}
        else:
            raise DcfmError(f"The topic {topic} is {kind}, whose definition is neither known nor in the bag.")
        self._connections[topic] = self._writer.add_connection(topic, kind, offered_qos_profiles=qos, **about)
        self.counts[topic] = 0

    def write_raw(self, topic: str, kind: str, time_ns: int, data: bytes | memoryview) -> None:
        """Append a message that is already serialized (CDR)."""
        self.add_topic(topic, kind)
        connection = self._connections[topic]
        try:
            self._writer.write(connection, time_ns, data)
        except _WRITE_ERRORS as error:
            raise DcfmError(f"The bag {self.path} cannot be written any further: {error}.") from error
        self.counts[topic] += 1

    def close(self) -> None:
        """Write index and metadata; the bag is complete afterwards. Raises DcfmError: they cannot be written."""
        if self._closed:
            return
        self._closed = True
        try:
            self._writer.close()
        except _WRITE_ERRORS as error:
            raise DcfmError(f"The bag {self.path} cannot be completed: {error}.") from error

    def __exit__(self, *_: object) -> None:
        self.close()
