"""Recordings that are whole but unusual, or announce something else than they hold: all there is is read, the rest is told."""

import sqlite3
import struct

import bags
import mcaps
import pytest
from bags import StoragePlugin, stamp_of
from rosbags.interfaces import Qos, QosDurability, QosReliability
from ruamel.yaml import YAML

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.table import counted
from dcfm_ros.media.bag_writer import RELIABLE
from dcfm_ros.media.bags import Bag
from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.storage import ZSTD_MAGIC


def stamps(path, topic=None):
    """The stamps that are read, and what the source says is wrong."""
    with open_source(path, topic) as source:
        found = [frame.stamp_ns for frame in source]
        assert source.problem or len(found) == source.length
        return found, source.problem


def first(count, begin=0):
    return [stamp_of(index) for index in range(begin, begin + count)]


def edit_metadata(path, change):
    yaml, file = YAML(typ="safe"), path / "metadata.yaml"
    loaded = yaml.load(file.read_text())
    change(loaded["rosbag2_bagfile_information"])
    with file.open("w") as opened:
        yaml.dump(loaded, opened)


def qos(reliability):
    return {**dict.fromkeys(("history", "durability", "liveliness"), 0), "depth": 1, "reliability": reliability,
            **{key: {"sec": 0, "nsec": 0} for key in ("deadline", "lifespan", "liveliness_lease_duration")},
            "avoid_ros_namespace_conventions": False}  # fmt: skip


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_qos_in_the_metadata_that_is_not_that_of_the_files(tmp_path, storage):
    path = bags.split_ros2(tmp_path / "bag", [4, 4], storage=storage)

    def change(about):
        about["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"] = [qos("best_effort")]

    edit_metadata(path, change)
    assert stamps(path) == (first(8), "")


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_files_of_a_split_bag_with_two_qos_profiles(tmp_path, storage):
    from rosbags.rosbag2 import Writer

    folder = tmp_path / "bag"
    folder.mkdir()
    for part, reliability in enumerate((QosReliability.RELIABLE, QosReliability.BEST_EFFORT)):
        with Writer(tmp_path / f"part{part}", version=9, storage_plugin=storage) as writer:
            profiles = [Qos(**{**RELIABLE._asdict(), "reliability": reliability})]
            connection = writer.add_connection(
                "/image", bags.IMAGE, typestore=bags.STORE2, offered_qos_profiles=profiles
            )
            for _, kind, time_ns, message in bags.camera_entries(4, first=4 * part):
                writer.write(connection, time_ns, bags.STORE2.serialize_cdr(message, kind))
        (file,) = (each for each in (tmp_path / f"part{part}").iterdir() if each.name != "metadata.yaml")
        file.rename(folder / f"bag_{part}{file.suffix}")
        (tmp_path / f"part{part}" / "metadata.yaml").rename(folder / "metadata.yaml")

    def change(about):
        about["relative_file_paths"] = sorted(file.name for file in folder.glob("bag_*"))
        about["topics_with_message_count"][0]["message_count"] = 8

    edit_metadata(folder, change)
    assert stamps(folder) == (first(8), "")
    (raw, *_) = Bag(folder).raw()
    assert {each.reliability for each in raw.qos} == {
        QosReliability.RELIABLE,
        QosReliability.BEST_EFFORT,
    }


def chunks(*groups):
    """Chunks of images (None: of the channel's definition), and (place, length) of each."""
    data, index = b"", []
    for group in groups:
        content = mcaps.channel(1, "/image") if group is None else b"".join(map(mcaps.image_message, group))
        packed = mcaps.chunk(content)
        index.append((len(data), len(packed)))
        data += packed
    return data, index


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("listed", [0, 1, 3])
@pytest.mark.parametrize("described", [True, False])
def test_mcap_whose_index_lacks_chunks_or_messages(tmp_path, counted, listed, described):
    data, index = chunks(None, range(4), range(4, 8))
    summary = mcaps.channel(1, "/image") if described else b""
    path = mcaps.mcap(
        tmp_path / "bag_0.mcap",
        data,
        index=index[:listed],
        statistics={1: 8} if counted else None,
        summary=summary,
    )
    assert stamps(path) == (first(8), "")
    bags.write_ros2(tmp_path / "other", bags.camera_entries(8, first=8, topic="/image"))
    (tmp_path / "other" / "other.mcap").rename(tmp_path / "bag_1.mcap")
    (tmp_path / "other" / "metadata.yaml").unlink()
    (tmp_path / "other").rmdir()
    assert stamps(tmp_path) == (first(16), "")


def test_mcap_without_chunks(tmp_path):
    data = mcaps.channel(1, "/image") + b"".join(map(mcaps.image_message, (0, 2, 1, 3)))
    for statistics in (None, {1: 4}):
        found, problem = stamps(mcaps.mcap(tmp_path / "bag.mcap", data, statistics=statistics))
        assert sorted(found) == first(4) and not problem


def test_what_an_mcap_announces_and_does_not_hold_is_told(tmp_path):
    data, index = chunks(None, range(4))
    path = mcaps.mcap(tmp_path / "bag.mcap", data, index=index, statistics={1: 9})
    assert stamps(path) == (first(4), "bag.mcap announces 9 messages and holds 4")


def test_what_an_mcap_does_not_announce_is_read(tmp_path):
    """Counts by channel may be left out, and all of them be zero."""
    data, _ = chunks(None, range(4))
    for total, told in ((4, ""), (0, "bag.mcap announces 0 messages and holds 4")):
        counts = struct.pack("<QHIIIIQQ", total, 1, 1, 0, 0, 2, 0, 2**62)
        summary = mcaps.record(11, counts, mcaps.text(b""))
        assert stamps(mcaps.mcap(tmp_path / "bag.mcap", data, summary=summary)) == (first(4), told)


def test_messages_of_no_channel_and_channels_of_one_number_are_told(tmp_path):
    data, _ = chunks(None, range(4))
    path = mcaps.mcap(tmp_path / "bag.mcap", data + mcaps.message(9, 1, b""))
    assert stamps(path) == (first(4), "1 message of bag.mcap without a topic")
    other = mcaps.chunk(mcaps.channel(1, "/other") + mcaps.image_message(4))
    path = mcaps.mcap(tmp_path / "bag.mcap", data + other)
    assert stamps(path) == (first(4), "1 record of bag.mcap could not be read: damaged")


@pytest.mark.parametrize("length", [1, 4096, None])
def test_what_is_behind_the_end_of_an_mcap_is_told(tmp_path, length):
    """None: another file of the same layout, whose summary is taken for this one's."""
    path = bags.write_ros2(tmp_path / "bag", bags.camera_entries(4)) / "bag.mcap"
    data = path.read_bytes()
    path.write_bytes(data + (data if length is None else bytes(length)))
    told = f"bag.mcap: {counted(length or len(data), 'byte')} after its end not read"
    assert stamps(path) == (first(4), told)


def test_a_damaged_chunk_costs_its_own_messages_and_is_told(tmp_path):
    good, _ = chunks(None, range(4))
    bad = mcaps.chunk(b"".join(map(mcaps.image_message, range(4, 6))), checksum=1)
    rest, _ = chunks(range(6, 8))
    path = mcaps.mcap(tmp_path / "bag.mcap", good + bad + rest)
    assert stamps(path) == (first(4) + first(2, 6), "1 record of bag.mcap could not be read: damaged")


def test_a_damaged_chunk_under_a_good_index_is_told(tmp_path):
    path = bags.write_ros2(
        tmp_path / "bag", bags.camera_entries(6, size=(800, 600)), compression=bags.CompressionMode.STORAGE
    )
    file = path / "bag.mcap"
    data = bytearray(file.read_bytes())
    begins = data.index(ZSTD_MAGIC, len(data) // 2)
    data[begins : begins + 20] = 20 * b"\xff"
    file.write_bytes(data)
    found, problem = stamps(path)
    assert len(found) == 5
    assert problem.startswith("reading stopped after 5 of 6 images: ")
    assert problem.endswith("is damaged: 1 of 6 messages of /camera/image could not be read.")


def test_rows_in_the_write_ahead_log(tmp_path):
    path = bags.write_ros2(tmp_path / "bag", bags.camera_entries(4), storage=StoragePlugin.SQLITE3)
    database = sqlite3.connect(path / "bag.db3")
    database.execute("PRAGMA journal_mode=wal")
    database.execute("PRAGMA wal_autocheckpoint=0")
    for _, kind, time_ns, message in bags.camera_entries(4, first=4):
        row = (time_ns, bytes(bags.STORE2.serialize_cdr(message, kind)))
        database.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)", row)
    database.commit()
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("bag.db3", "bag.db3-wal"):
        (killed / name).write_bytes((path / name).read_bytes())
    database.close()
    before = sorted(file.name for file in killed.iterdir())
    assert stamps(killed) == (first(8), "")
    assert sorted(file.name for file in killed.iterdir()) == before
    (killed / "bag.db3-wal").unlink()
    (killed / "metadata.yaml").write_bytes((path / "metadata.yaml").read_bytes())
    edit_metadata(killed, lambda about: about["topics_with_message_count"][0].update(message_count=8))
    assert stamps(killed) == (
        first(4),
        "metadata.yaml announces 8 messages of /camera/image, the files hold 4",
    )


def test_a_file_that_the_metadata_does_not_list_is_told(tmp_path):
    path = bags.split_ros2(tmp_path / "bag", [2, 2, 2])

    def change(about):
        about["relative_file_paths"].pop()
        about["topics_with_message_count"][0]["message_count"] = 4

    edit_metadata(path, change)
    assert stamps(path) == (first(4), "metadata.yaml does not list bag_2.mcap: not read")


def test_what_the_index_of_a_ros1_bag_leaves_out_is_told(tmp_path):
    path = tmp_path / "bag" / "drive_0.bag"
    path.parent.mkdir()
    bags.write_ros1(path, bags.camera_entries(4, store=bags.STORE1))
    data = path.read_bytes()
    path.write_bytes(data + data)
    told = f"drive_0.bag: {len(data)} bytes after its index not read"
    assert stamps(path) == (first(4), told)
    path.write_bytes(data[:-4] + struct.pack("<I", 9))  # of the topic's messages in the last chunk
    assert stamps(path) == (first(4), "drive_0.bag announces 9 messages of /camera/image and lists 4")
    path.write_bytes(data.replace(b"chunk_count=\1", b"chunk_count=\0"))
    with pytest.raises(DcfmError, match=r"is empty: drive_0.bag: \d+ bytes after its index"):
        open_source(path)
    path.write_bytes(data)
    assert stamps(path.parent) == (first(4), "")
    (path.parent / "drive_1.mcap").write_bytes(b"")
    told = "drive_1.mcap: not read; there are ROS 1 bags, too"
    assert stamps(path.parent) == (first(4), told)


def test_qos_of_a_latched_ros1_topic(tmp_path):
    from rosbags.rosbag1 import Writer

    with Writer(tmp_path / "old.bag") as writer:
        kind = "std_msgs/msg/String"
        connection = writer.add_connection("/map", kind, typestore=bags.STORE1, latching=1)
        text = bags.STORE1.types[kind](data="here")
        writer.write(connection, 5, bags.STORE1.serialize_ros1(text, kind))
    (raw,) = Bag(tmp_path / "old.bag").raw()
    assert [each.durability for each in raw.qos] == [QosDurability.TRANSIENT_LOCAL]


@pytest.mark.parametrize("profile", ["", "ros2", "foxglove"])
def test_mcap_profiles_and_a_channel_that_is_not_of_ros(tmp_path, profile):
    other = mcaps.channel(
        2,
        "/other",
        schema="foxglove.Log",
        encoding="protobuf",
        definition=b"\xff\xfe",
        serialization="protobuf",
    )
    data = (
        mcaps.channel(1, "/image")
        + other
        + b"".join(map(mcaps.image_message, range(3)))
        + mcaps.message(2, 7, b"x")
    )
    path = mcaps.mcap(tmp_path / "bag.mcap", data, profile=profile)
    assert stamps(path) == (first(3), "")
    with pytest.raises(DcfmError, match=r"'/other' of .* is foxglove\.Log \(protobuf\); expected"):
        open_source(path, "/other")


def test_messages_compressed_one_by_one_need_no_metadata(tmp_path):
    path = bags.write_ros2(
        tmp_path / "bag",
        bags.camera_entries(3),
        storage=StoragePlugin.SQLITE3,
        compression=bags.CompressionMode.MESSAGE,
    )
    (path / "metadata.yaml").unlink()
    assert stamps(path) == (first(3), "")
