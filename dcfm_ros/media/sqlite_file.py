"""Reads .db3 files, the older storage of rosbag2: with rows that are still in the write-ahead log, too."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from dcfm_ros.measure.table import counted
from dcfm_ros.media.storage import Channel, Damaged, qos_profiles

MAGIC = b"SQLite format 3\0"
# Pages of a damaged file may lead in circles. A row takes 4 bytes at least, and reading it in order some 20 steps.
_STEPS_PER_BYTE, _STEPS, _STEPS_AT_ONCE = 8, 10_000_000, 100_000
_DATA = "SELECT data FROM messages WHERE rowid = ?"
_CIRCLE = "its pages hold more than the file does: they lead in circles"
_COLUMNS = ("id", "name", "type", "serialization_format", "offered_qos_profiles", "type_description_hash")


class SqliteFile:
    """A .db3 file; see `Part`. Nothing is written into or beside it.

    Raises Damaged: no database, or not one of rosbag2. sqlite3.Error: a database that is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        with self._opened() as database:
            _columns(database, "messages")
            counts = dict(database.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
            self._known = _channels(database, counts)
        held, rows = sum(channel.count for channel in self._known.values()), sum(counts.values())
        if rows != held:
            strays = f"{counted(rows - held, 'message')} of {path.name} belong to no topic"
            self.problem = "; ".join(text for text in (self.problem, strays) if text)
        self.channels = list(self._known.values())

    def messages(self, topics: Collection[str] | None) -> Iterator[tuple[Channel, int, bytes]]:
        wanted = [number for number, one in self._known.items() if topics is None or one.topic in topics]
        marks = ",".join("?" * len(wanted))
        # The order first, and each message's data by itself: sorted with it, it would be copied to the disk.
        order = (
            f"SELECT rowid, topic_id, timestamp FROM messages WHERE topic_id IN ({marks}) ORDER BY timestamp"
        )
        left = self._size()
        with self._opened() as database:
            for row, number, time_ns in database.execute(order, wanted):
                if type(time_ns) is not int:  # columns hold values of any type
                    continue
                (data,) = database.execute(_DATA, (row,)).fetchone() or (None,)
                left -= len(data) if isinstance(data, bytes) else 0
                if left < 0:
                    raise Damaged(_CIRCLE)
                yield self._known[number], time_ns, data if isinstance(data, bytes) else b""
        if missing := self._missing():
            raise Damaged(f"its last {counted(missing, 'byte')} are missing")

    def _size(self) -> int:
        """Bytes of the file and its log."""
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def _missing(self) -> int:
        """Bytes by which the file is shorter than its own head says."""
        with self.path.open("rb") as file:
            head = file.read(100)
        page_size, pages = struct.unpack_from(">H", head, 16)[0], struct.unpack_from(">I", head, 28)[0]
        # 1 stands for 65536; the number of pages holds only where both counters say so.
        known = head[24:28] == head[92:96]
        return (
            max(0, (65536 if page_size == 1 else page_size) * pages - self.path.stat().st_size)
            if known
            else 0
        )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        # As a URI the path is quoted: a folder may be called "run #3". What is immutable is read without locks and
        # from read-only folders, but without the log either.
        log = self.path.with_name(self.path.name + "-wal")
        pending = log.exists() and log.stat().st_size > 0
        shared = self.path.with_name(self.path.name + "-shm")
        kept = shared.exists()
        place = self.path.absolute().as_uri()
        database = sqlite3.connect(f"{place}?{'mode=ro' if pending else 'immutable=1'}", uri=True)
        try:
            if pending:
                database = self._with_log(database, place)
            steps = itertools.count()
            most = (_STEPS + _STEPS_PER_BYTE * self._size()) // _STEPS_AT_ONCE
            database.set_progress_handler(lambda: next(steps) > most, _STEPS_AT_ONCE)
            yield database
        except sqlite3.OperationalError as error:
            if str(error) == "interrupted":
                raise Damaged(_CIRCLE) from error
            raise
        finally:
            database.close()
            if pending and not kept:
                shared.unlink(missing_ok=True)

    def _with_log(self, database: sqlite3.Connection, place: str) -> sqlite3.Connection:
        """The database if its log can be read, else what was in it before, which `problem` then tells."""
        try:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            database.close()
            self.problem = f"what {self.path.name}-wal holds could not be read; copy the recording to a folder that is writable"
            return sqlite3.connect(f"{place}?immutable=1", uri=True)
        return database


def _channels(database: sqlite3.Connection, counts: Mapping[int, int]) -> dict[int, Channel]:
    there = _columns(database, "topics")
    columns = ", ".join(name if name in there else "''" for name in _COLUMNS)
    definitions = {}
    if _is_table(database, "message_definitions"):
        definitions = dict(
            database.execute("SELECT topic_type, encoded_message_definition FROM message_definitions")
        )
    return {
        number: Channel(
            name,
            kind,
            counts.get(number, 0),
            form,
            _text(definitions.get(kind)),
            _text(digest),
            qos_profiles(qos),
        )
        for number, name, kind, form, qos, digest in database.execute(f"SELECT {columns} FROM topics")
        if all(isinstance(text, str) for text in (name, kind, form))
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table. Raises Damaged where it is none, or computes them: both can be endless, and no recorder does it."""
    columns = list(database.execute(f"PRAGMA table_xinfo({table})"))
    if not columns or not _is_table(database, table):
        raise Damaged(f"it has no table {table}")
    if any(hidden for *_, hidden in columns):
        raise Damaged(f"its table {table} has computed columns")
    return {name for _, name, *_ in columns}


def _is_table(database: sqlite3.Connection, name: str) -> bool:
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = ?"
    (made_by,) = database.execute(query, (name,)).fetchone() or ("",)
    return made_by.upper().startswith("CREATE TABLE")
