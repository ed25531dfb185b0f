"""Recordings of the three storages: damaged anywhere, or made by hand with values of any kind."""

import contextlib
import functools
import sqlite3

import bags
import mcaps
import pytest
from bags import CompressionMode, StoragePlugin
from doors import answer, door
from hypothesis import strategies as st
from mutations import linked, mutated

from dcfm_ros.media.bags import Bag
from dcfm_ros.media.labels import LabelTopic
from dcfm_ros.media.open_source import open_source

FRAMES = 3
TOPIC = "/camera/image"
ROS1_FORMS = (None, bags.Ros1Writer.CompressionFormat.BZ2, bags.Ros1Writer.CompressionFormat.LZ4)
MODES = (None, CompressionMode.FILE, CompressionMode.MESSAGE, CompressionMode.STORAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bags")


def entries(**kwargs):
    return bags.camera_entries(FRAMES, size=(8, 6), **kwargs)


def _ros2(folder, storage, mode):
    path = bags.write_ros2(folder / f"{storage.name}_{mode}", entries(), storage=storage, compression=mode)
    (file,) = (each for each in path.iterdir() if each.name != "metadata.yaml")
    return file


@functools.cache
def real(folder, kind):
    """Small recordings of a kind, as bytes, and the suffix of their files."""
    if kind == "ros1":
        paths = [
            bags.write_ros1(folder / f"{form}.bag", entries(store=bags.STORE1), compression=form)
            for form in ROS1_FORMS
        ]
    elif kind == "sqlite3":
        paths = [_ros2(folder, StoragePlugin.SQLITE3, mode) for mode in MODES[:3]]
    else:
        paths = [_ros2(folder, StoragePlugin.MCAP, mode) for mode in MODES]
    return tuple(path.read_bytes() for path in paths), {"ros1": ".bag", "sqlite3": ".db3", "mcap": ".mcap"}[
        kind
    ]


def read(path):
    """What is read of a recording: by its only image topic, whole, and as labels of its own frames."""
    source = answer(open_source, path)
    if source is None:
        return None
    with source:
        frames = answer(list, source) or []
        assert all(type(frame.stamp_ns) is type(frame.time_ns) is int for frame in frames)
        labels = answer(LabelTopic, path, source.topic, (), source.rate)
        for frame in frames if labels else ():
            answer(labels.of, frame)
    answer(lambda: [(each.topic, each.time_ns) for each in Bag(path).raw()])
    return len(frames)


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "ros1"])
@door(80, data=st.data())
def test_recordings_of_any_bytes(folder, kind, data):
    files, suffix = real(folder, kind)
    path = folder / f"any{suffix}"
    content = data.draw(mutated(*files))
    path.write_bytes(content)
    found = read(path)
    assert found == FRAMES or content not in files


PAGE = 512


@functools.cache
def deep_database(folder):
    """One of so small pages that its trees have branches."""
    path = _ros2(folder, StoragePlugin.SQLITE3, None)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE INDEX IF NOT EXISTS timestamp_idx ON messages(timestamp)")
        numbers = "WITH RECURSIVE number(n) AS (SELECT 9 UNION ALL SELECT n + 1 FROM number WHERE n < 150)"
        database.execute(
            f"{numbers} INSERT INTO messages SELECT n, topic_id, timestamp + n, data FROM messages, number WHERE id = 1"
        )
        database.execute(f"PRAGMA page_size = {PAGE}")
        database.execute("VACUUM")
    return path.read_bytes()


@door(80, data=st.data())
def test_databases_of_pages_in_any_order(tmp_path_factory, folder, data):
    path = folder / "pages.db3"
    path.write_bytes(data.draw(linked(deep_database(tmp_path_factory.getbasetemp() / "deep"), page=PAGE)))
    read(path)


@door(60, data=st.data(), kind=st.sampled_from([StoragePlugin.MCAP, StoragePlugin.SQLITE3]))
def test_metadata_of_any_bytes(folder, data, kind):
    path = folder / f"described_{kind.name}"
    if not path.exists():
        bags.write_ros2(path, entries(), storage=kind)
    about = path / "metadata.yaml"
    kept = path / "kept"
    if not kept.exists():
        kept.write_bytes(about.read_bytes())
    about.write_bytes(data.draw(mutated(kept.read_bytes(), b"a: &a [x]\nb: [*a, *a]\n<<: {c: *a}\n")))
    read(path)


NUMBERS = st.one_of(st.integers(0, 3), st.sampled_from((255, 65535)))
TEXTS = st.one_of(st.sampled_from((TOPIC, "sensor_msgs/msg/Image", "cdr", "ros1", "")), st.binary(max_size=6))
LENGTHS = st.one_of(st.integers(0, 40), st.sampled_from((2**31, 2**32, 2**63 - 1, 2**64 - 1)))
CHANNELS = st.builds(mcaps.channel, NUMBERS, TEXTS, schema=TEXTS, serialization=TEXTS)
MESSAGES = st.one_of(
    st.builds(mcaps.image_message, st.integers(0, 3), NUMBERS),
    st.builds(mcaps.message, NUMBERS, st.integers(0, 2**64 - 1), st.binary(max_size=40)),
    st.builds(mcaps.record, st.integers(0, 255), st.binary(max_size=40)),
)
RECORDS = st.lists(st.one_of(CHANNELS, MESSAGES), max_size=5).map(b"".join)
CHUNKS = st.builds(
    mcaps.chunk,
    RECORDS,
    size=st.one_of(st.none(), LENGTHS),
    checksum=st.sampled_from((None, 0, 1)),
    compression=st.sampled_from(("", "zstd", "lz4", "other")),
    packed=st.one_of(st.none(), st.binary(max_size=20)),
)


@door(
    100,
    parts=st.lists(st.one_of(RECORDS, CHUNKS), max_size=4),
    index=st.lists(st.tuples(st.integers(0, 300), LENGTHS), max_size=3),
    statistics=st.one_of(st.none(), st.dictionaries(NUMBERS, st.integers(0, 2**30), max_size=3)),
)
def test_mcaps_of_any_records(folder, parts, index, statistics):
    first = mcaps.channel(1, TOPIC) + mcaps.image_message(0)
    read(mcaps.mcap(folder / "records.mcap", first + b"".join(parts), index=index, statistics=statistics))


TIMES = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 9))
SQL = st.one_of(TIMES, st.none(), st.floats(), st.text(max_size=5), st.binary(max_size=9))
TOPICS = st.lists(st.tuples(SQL, SQL, SQL, SQL, SQL), max_size=2)
ROWS = st.lists(st.tuples(SQL, SQL, SQL), max_size=5)


@door(100, topics=TOPICS, rows=ROWS, one=SQL, other=SQL)
def test_databases_of_any_values(folder, topics, rows, one, other):
    """Columns of SQLite hold any type, whatever they were declared as."""
    path = folder / "rows.db3"
    path.unlink(missing_ok=True)
    message = bags.STORE2.serialize_cdr(bags.image(bags.picture(0, (8, 6)), bags.stamp_of(0)), bags.IMAGE)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute(
            "CREATE TABLE topics(id INTEGER, name TEXT, type TEXT, serialization_format TEXT, offered_qos_profiles TEXT)"
        )
        database.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)"
        )
        database.executemany(
            "INSERT INTO topics VALUES(?,?,?,?,?)", [(1, TOPIC, bags.IMAGE, "cdr", ""), *topics]
        )
        odd = [(1, one, bytes(message)), (1, 5, other), (1, 7, bytes(message)), *rows]
        database.executemany("INSERT INTO messages(topic_id, timestamp, data) VALUES(?,?,?)", odd)
    database.close()
    read(path)
