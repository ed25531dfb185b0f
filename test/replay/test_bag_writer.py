"""The bags written here are read back by `rosbags` as any other reader would: definitions, stamps, pictures, order."""

import bags
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader

from dcfm_ros.errors import DcfmError
from dcfm_ros.media import messages
from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.bags import Bag
from dcfm_ros.media.image_decode import to_rgb
from dcfm_ros.media.open_source import open_source


def timing(stamp_ns, **fields):
    """A FrameTiming with every field set; those not given are zero."""
    store = messages.own_typestore()
    values = {}
    for name, (_kind, detail) in store.fielddefs[messages.FRAME_TIMING][1]:
        zero = {"bool": False, "string": "", "float32": 0.0, "uint32": 0, "uint64": 0}
        values[name] = zero.get(detail[0] if isinstance(detail, tuple) else "")
    values["header"] = messages.header(stamp_ns, "camera")
    values["key_stamp"] = values["header"].stamp
    return messages.message(messages.FRAME_TIMING, **(values | fields))


def test_definitions_travel_with_the_bag(tmp_path):
    """A reader that has never heard of this package reads every field of its messages."""
    with BagWriter(tmp_path / "bag") as bag:
        bag.write(
            "/timing", messages.FRAME_TIMING, 5, timing(5, trigger="motion", total_ms=12.5, key_frame=True)
        )
        bag.write("/mask", messages.IMAGE, 6, messages.picture(np.eye(4, dtype=np.uint8), 5, "camera"))
    with AnyReader([tmp_path / "bag"]) as reader:
        assert {connection.msgtype for connection in reader.connections} == {
            "dcfm_ros/msg/FrameTiming",
            "sensor_msgs/msg/Image",
        }
        (first, time_ns, raw), (second, _, raw_mask) = reader.messages()
        message = reader.deserialize(raw, first.msgtype)
        assert time_ns == 5
        assert (message.trigger, message.total_ms, message.key_frame) == ("motion", 12.5, True)
        assert message.header.frame_id == "camera"
        mask = reader.deserialize(raw_mask, second.msgtype)
        assert (mask.encoding, mask.step, mask.data.tolist()) == (
            "mono8",
            4,
            np.eye(4, dtype=np.uint8).reshape(-1).tolist(),
        )


def test_every_field_of_the_message_definition_is_known():
    text = (bags.Path(__file__).parents[2] / "msg" / "FrameTiming.msg").read_text()
    wanted = [
        line.split()[1] for line in text.splitlines() if line.strip() and not line.startswith(("#", " "))
    ]
    store = messages.own_typestore()
    assert [name for name, _ in store.fielddefs[messages.FRAME_TIMING][1]] == wanted


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    stamp=st.integers(0, 2**31 * 10**9 - 1),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=25, deadline=None)
def test_pictures_and_stamps_survive(tmp_path_factory, height, width, stamp, seed):
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path = tmp_path_factory.mktemp("bag") / "bag"
    with BagWriter(path) as bag:
        bag.write("/image", messages.IMAGE, stamp, messages.picture(rgb, stamp, "here"))
    ((_, time_ns, message),) = Bag(path).messages("/image")
    assert time_ns == stamp
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp
    assert (to_rgb(message) == rgb).all()


def test_jpeg_pictures_are_read_as_a_source(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for index in range(3):
            stamp = bags.stamp_of(index)
            bag.write(
                "/image/compressed",
                messages.COMPRESSED_IMAGE,
                stamp,
                messages.jpeg(bags.picture(index), stamp, "camera"),
            )
    with open_source(tmp_path / "bag") as source:
        frames = list(source)
    assert [frame.stamp_ns for frame in frames] == [bags.stamp_of(index) for index in range(3)]
    for index, frame in enumerate(frames):
        assert np.abs(frame.rgb.astype(int) - bags.picture(index)).mean() < 4


def test_what_was_written_before_an_error_can_be_read(tmp_path):
    with pytest.raises(RuntimeError), BagWriter(tmp_path / "bag") as bag:
        for index in range(3):
            bag.write("/image", messages.IMAGE, index, messages.picture(bags.picture(index), index, ""))
        raise RuntimeError
    assert sum(1 for _ in Bag(tmp_path / "bag").messages("/image")) == 3


def test_an_existing_path_is_refused(tmp_path):
    with pytest.raises(DcfmError, match="already exists"):
        BagWriter(tmp_path)


def test_a_path_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DcfmError, match="cannot be written"):
        BagWriter(tmp_path / "file" / "bag")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("name", ["run #3", "what?", "100%41", "plain"])
def test_folders_of_any_name(tmp_path, storage, name):
    folder = tmp_path / name
    folder.mkdir()
    with BagWriter(folder / name, storage) as bag:
        bag.write("/image", messages.IMAGE, 5, messages.picture(bags.picture(0), 5, ""))
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert [file.name for file in folder.iterdir()] == [name]
    assert sum(1 for _ in Bag(folder / name).messages("/image")) == 1


@pytest.mark.parametrize("stamp", [(5, 1_500_000_000), (2**31 - 1, 2**32 - 1)])
def test_nanoseconds_of_more_than_a_second(tmp_path, stamp):
    stamp_ns = stamp[0] * 10**9 + stamp[1]
    with BagWriter(tmp_path / "bag") as bag:
        bag.write("/image", messages.IMAGE, 5, messages.picture(bags.picture(0), stamp_ns, ""))
    ((_, _, message),) = Bag(tmp_path / "bag").messages("/image")
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp_ns
