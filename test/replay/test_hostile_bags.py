"""Recordings that claim more than they hold, or that are damaged anywhere: a message, bounded memory, no traceback."""

import bz2
import contextlib
import resource
import sqlite3
import struct

import bags
import lz4.frame
import mcaps
import pytest
from bags import StoragePlugin
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_files import BoundedReader
from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.storage import MAX_UNPACKED, Damaged, unzstd, zstd


def packed_zeros(megabytes):
    packer = zstd().ZstdCompressor()
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


def read(path):
    """How many frames are read; None for a message."""
    try:
        with open_source(path) as source:
            return sum(1 for _ in source)
    except DcfmError as error:
        assert "\x1b" not in str(error)
        return None


@pytest.fixture
def bounded():
    """The test may not raise this process's peak memory by more than 700 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000


def test_data_that_unpacks_to_gigabytes(tmp_path, bounded):
    bomb = packed_zeros(4096)
    assert len(bomb) < 500_000
    with pytest.raises(Damaged, match="compressed data of more than"):
        unzstd(bomb)
    first = mcaps.channel(1, "/image") + mcaps.image_message(0)
    for size in (4096 << 20, 64, 2**63):
        data = first + mcaps.chunk(b"", size=size, compression="zstd", packed=bomb, checksum=0)
        assert read(mcaps.mcap(tmp_path / "bag.mcap", data)) == 1
    path = tmp_path / "bag.mcap.zstd"
    path.write_bytes(bomb)
    with pytest.raises(DcfmError, match="unpacks to more than .* MB"):
        open_source(path)


def test_sizes_that_are_claims(tmp_path, bounded):
    first = mcaps.channel(1, "/image") + mcaps.image_message(0)
    for size in (2**62, 2**40, MAX_UNPACKED + 1):
        for kind in (3, 4, 5, 6):
            rest = struct.pack("<BQ", kind, size) + bytes(100)
            assert read(mcaps.mcap(tmp_path / "bag.mcap", first + rest)) == 1


@pytest.mark.parametrize(
    "form", [bags.Ros1Writer.CompressionFormat.BZ2, bags.Ros1Writer.CompressionFormat.LZ4]
)
def test_a_ros1_chunk_that_unpacks_to_gigabytes(tmp_path, bounded, form):
    path = bags.write_ros1(
        tmp_path / "small.bag", bags.camera_entries(3, store=bags.STORE1), compression=form
    )
    with BoundedReader(path) as reader:
        (chunk,) = reader.chunks.values()
    whole = path.read_bytes()
    bomb = bz2_zeros(4096) if form is bags.Ros1Writer.CompressionFormat.BZ2 else lz4_zeros(1024)
    assert len(bomb) < 5_000_000
    end = chunk.datapos + chunk.datasize
    whole = whole[: chunk.datapos - 4] + struct.pack("<I", len(bomb)) + bomb + whole[end:]
    at = whole.index(b"index_pos=") + len(b"index_pos=")
    (index,) = struct.unpack_from("<Q", whole, at)
    whole = whole[:at] + struct.pack("<Q", index + len(bomb) - chunk.datasize) + whole[at + 8 :]
    path.write_bytes(whole)
    with open_source(path) as source, pytest.raises(DcfmError, match="compressed data of more than"):
        list(source)


def bz2_zeros(megabytes):
    """Streams of one megabyte each, as `bzip2` concatenates them."""
    return bz2.compress(bytes(1 << 20)) * megabytes


def lz4_zeros(megabytes):
    return lz4.frame.compress(bytes(1 << 20)) * megabytes


def database(path, *statements):
    """A .db3 file of one image, changed by these statements."""
    bag = bags.write_ros2(
        path.with_suffix(""), bags.camera_entries(1, size=(8, 6)), storage=StoragePlugin.SQLITE3
    )
    (file,) = bag.glob("*.db3")
    file.rename(path)
    with sqlite3.connect(path) as changed:
        for statement in statements:
            changed.execute(statement)
    changed.close()
    return path


@pytest.mark.parametrize("table", ["topics", "messages"])
def test_a_database_whose_rows_are_endless(tmp_path, table):
    path = database(
        tmp_path / "bag.db3",
        f"ALTER TABLE {table} RENAME TO other",
        f"CREATE VIEW {table} AS WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) "
        "SELECT n AS id, 1 AS topic_id, n AS timestamp, '' AS data, '' AS name, '' AS type, '' AS "
        "serialization_format, '' AS offered_qos_profiles FROM endless",
    )
    with pytest.raises(DcfmError, match=f"it has no table {table}"):
        open_source(path)


def test_a_database_whose_data_are_computed(tmp_path, bounded):
    path = database(
        tmp_path / "bag.db3",
        "DROP TABLE messages",
        "CREATE TABLE messages(id INTEGER, topic_id INTEGER, timestamp INTEGER, data BLOB AS (zeroblob(1000000000)))",
        "INSERT INTO messages VALUES(1, 1, 1)",
    )
    with pytest.raises(DcfmError, match="its table messages has computed columns"):
        open_source(path)


@pytest.mark.parametrize("time", ["NULL", "'soon'", "1e30", "x'00'"])
def test_a_database_with_times_that_are_none(tmp_path, time):
    path = database(
        tmp_path / "bag.db3",
        "CREATE TABLE copied AS SELECT * FROM messages",
        "DROP TABLE messages",
        "ALTER TABLE copied RENAME TO messages",
        f"INSERT INTO messages SELECT id + 1, topic_id, {time}, data FROM messages",
    )
    with open_source(path) as source:
        assert len(list(source)) == 1 and "1 of 2 messages" in source.problem


def test_a_database_with_names_that_are_none(tmp_path):
    path = database(
        tmp_path / "bag.db3",
        "CREATE TABLE copied AS SELECT * FROM topics",
        "DROP TABLE topics",
        "ALTER TABLE copied RENAME TO topics",
        "INSERT INTO topics(id, name, type, serialization_format) VALUES(2, NULL, 3, x'00')",
        "INSERT INTO messages SELECT id + 1, 2, timestamp, data FROM messages",
    )
    with open_source(path) as source:
        assert len(list(source)) == 1 and "1 message of bag.db3 belong to no topic" in source.problem


PAGE, LEVELS = 512, 15


def with_circles(path, tree):
    """A .db3 file of 400 images in which every page of a tree leads to a page of all its own branches again, level by level:
    more rows than could ever be read, though no path is longer than SQLite allows."""
    numbers = "WITH RECURSIVE number(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number WHERE n < 400)"
    rows = "INSERT INTO messages SELECT n, topic_id, timestamp + n, data FROM messages, number"
    database(path, f"{numbers} {rows}", "CREATE INDEX IF NOT EXISTS timestamp_idx ON messages(timestamp)")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as changed:
        changed.execute(f"PRAGMA page_size = {PAGE}")
        changed.execute("VACUUM")
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (root,) = changed.execute(query, (tree,)).fetchone()
    content = bytearray(path.read_bytes())
    page, leaf = bytes(content[(root - 1) * PAGE : root * PAGE]), root
    while content[at := (leaf - 1) * PAGE] in (2, 5):  # it has branches
        cell = at + int.from_bytes(content[at + 12 : at + 14], "big")
        leaf = int.from_bytes(content[cell : cell + 4], "big")
    cells = [int.from_bytes(page[12 + 2 * i : 14 + 2 * i], "big") for i in range(page[4])]
    end = len(content) // PAGE
    numbers = [root, *range(end + 1, end + 1 + LEVELS), leaf]
    content += bytes(PAGE * LEVELS)
    content[28:32] = (end + LEVELS).to_bytes(4, "big")
    for number, following in zip(numbers, numbers[1:], strict=False):
        linked = bytearray(page)
        for at in (8, *cells):
            linked[at : at + 4] = following.to_bytes(4, "big")
        content[(number - 1) * PAGE : number * PAGE] = linked
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("tree", ["messages", "timestamp_idx"])
def test_a_database_whose_pages_lead_in_circles(tmp_path, tree, bounded):
    path = with_circles(tmp_path / "bag.db3", tree)
    try:
        with open_source(path) as source:
            read = sum(1 for _ in source)
            assert read < 1000 and "they lead in circles" in source.problem
    except DcfmError as error:
        assert "they lead in circles" in str(error)


FILES = {}


def small_bag(folder, storage, compression):
    key = (storage, compression)
    if storage == "ros1" and key not in FILES:
        form = bags.Ros1Writer.CompressionFormat.BZ2 if compression else None
        entries = bags.camera_entries(3, size=(8, 6), store=bags.STORE1)
        FILES[key] = ".bag", bags.write_ros1(folder / "bag.bag", entries, compression=form).read_bytes()
    if key not in FILES:
        path = bags.write_ros2(
            folder / "bag", bags.camera_entries(3, size=(8, 6)), storage=storage, compression=compression
        )
        (file,) = (each for each in path.iterdir() if each.name != "metadata.yaml")
        FILES[key] = file.suffix, file.read_bytes()
    return FILES[key]


@settings(max_examples=120)
@given(
    storage=st.sampled_from([StoragePlugin.MCAP, StoragePlugin.SQLITE3, "ros1"]),
    packed=st.booleans(),
    places=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8
    ),
)
def test_flipped_bytes(tmp_path_factory, storage, packed, places):
    folder = tmp_path_factory.mktemp("flipped")
    compression = bags.CompressionMode.STORAGE if packed and storage is not StoragePlugin.SQLITE3 else None
    suffix, data = small_bag(folder, storage, compression)
    changed = bytearray(data)
    for place, value in places:
        changed[int(place * len(changed))] = value
    (folder / f"flipped{suffix}").write_bytes(changed)
    found = read(folder / f"flipped{suffix}")
    assert found is None or found <= 3
