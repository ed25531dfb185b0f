"""Recordings that claim more than they hold, or that are damaged anywhere: a message, bounded memory, no traceback."""

import resource
import struct

import bags
import mcaps
import pytest
from bags import StoragePlugin
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.errors import DcfmError
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


FILES = {}


def small_bag(folder, storage, compression):
    key = (storage, compression)
    if key not in FILES:
        path = bags.write_ros2(
            folder / "bag", bags.camera_entries(3, size=(8, 6)), storage=storage, compression=compression
        )
        (file,) = (each for each in path.iterdir() if each.name != "metadata.yaml")
        FILES[key] = file.suffix, file.read_bytes()
    return FILES[key]


@settings(max_examples=120)
@given(
    storage=st.sampled_from([StoragePlugin.MCAP, StoragePlugin.SQLITE3]),
    packed=st.booleans(),
    places=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8
    ),
)
def test_flipped_bytes(tmp_path_factory, storage, packed, places):
    folder = tmp_path_factory.mktemp("flipped")
    compression = bags.CompressionMode.STORAGE if packed and storage is StoragePlugin.MCAP else None
    suffix, data = small_bag(folder, storage, compression)
    changed = bytearray(data)
    for place, value in places:
        changed[int(place * len(changed))] = value
    (folder / f"flipped{suffix}").write_bytes(changed)
    found = read(folder / f"flipped{suffix}")
    assert found is None or found <= 3
