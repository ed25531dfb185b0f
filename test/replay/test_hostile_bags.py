"""Recordings that claim more than they hold, or that are damaged anywhere: a message, bounded memory, no traceback."""

import bz2
import resource
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
