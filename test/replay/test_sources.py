"""Every kind of input, written for the test and read back: the pictures, their order, their stamps; and bad input."""

import os
import shutil
import struct

import bags
import cv2
import numpy as np
import pytest
from bags import CompressionMode, StoragePlugin, picture, stamp_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Ros1Writer

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bags import Bag
from dcfm_ros.media.files import _differs
from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.source import FIRST_STAMP_NS, natural_key


def check_frames(source, count, *, first=0, exact=True):
    """The source yields exactly the pictures of `bags.camera_entries`, in order, with stamp and frame_id."""
    frames = 0
    for index, frame in enumerate(source, first):
        assert frame.stamp_ns == stamp_of(index)
        assert frame.time_ns == stamp_of(index) + 1_000_000
        assert frame.frame_id == "camera"
        difference = np.abs(frame.rgb.astype(int) - picture(index)).max()
        assert difference == 0 if exact else difference < 12
        frames += 1
    assert frames == count
    assert not source.skipped and not source.problem


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize(
    "compression", [None, CompressionMode.FILE, CompressionMode.MESSAGE, CompressionMode.STORAGE]
)
def test_rosbag2(tmp_path, storage, compression):
    if storage is StoragePlugin.SQLITE3 and compression is CompressionMode.STORAGE:
        pytest.skip("sqlite3 has no compression of its own")
    path = bags.write_ros2(tmp_path / "bag", bags.camera_entries(5), storage=storage, compression=compression)
    with open_source(path) as source:
        assert (source.kind, source.topic, source.length) == ("rosbag2", "/camera/image", 5)
        assert source.rate == pytest.approx(10.0, rel=0.01)
        check_frames(source, 5)
        check_frames(source, 5)  # a source starts again from the beginning


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("compression", [None, CompressionMode.FILE])
def test_split_bag(tmp_path, storage, compression):
    path = bags.split_ros2(tmp_path / "bag", [3, 4, 2], storage=storage, compression=compression)
    with open_source(path) as source:
        assert source.length == 9
        check_frames(source, 9)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_bag_without_metadata_and_single_file(tmp_path, storage):
    path = bags.split_ros2(tmp_path / "bag", [3, 4], storage=storage)
    (path / "metadata.yaml").unlink()
    with open_source(path) as source:
        check_frames(source, 7)
    second = sorted(path.iterdir())[1]
    with open_source(second) as source:
        check_frames(source, 4, first=3)


def test_more_than_nine_split_files_are_read_in_their_order(tmp_path):
    path = bags.split_ros2(tmp_path / "bag", [1] * 11)
    (path / "metadata.yaml").unlink()
    with open_source(path) as source:
        check_frames(source, 11)


@pytest.mark.parametrize(
    "compression", [None, Ros1Writer.CompressionFormat.BZ2, Ros1Writer.CompressionFormat.LZ4]
)
def test_ros1_bag(tmp_path, compression):
    entries = bags.camera_entries(5, store=bags.STORE1)
    path = bags.write_ros1(tmp_path / "old.bag", entries, compression=compression)
    with open_source(path) as source:
        assert source.kind == "rosbag1"
        check_frames(source, 5)


def test_real_ros1_bag(data_root):
    with open_source(data_root / "video" / "ros1_gazebo_2_images.bag") as source:
        assert (source.kind, source.topic, source.length) == ("rosbag1", "/prius/front_camera/image_raw", 2)
        frames = list(source)
    assert [frame.stamp_ns for frame in frames] == [693_708_000_000, 693_741_000_000]
    assert all(frame.rgb.shape == (800, 800, 3) and frame.rgb.std() > 10 for frame in frames)
    with pytest.raises(DcfmError, match=r"'/tf' of .* is tf2_msgs/msg/TFMessage; expected"):
        open_source(source.path, "/tf")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_compressed_images(tmp_path, suffix):
    entries = (
        (
            "/camera/image/compressed",
            bags.COMPRESSED,
            stamp_of(i) + 1_000_000,
            bags.compressed(picture(i), stamp_of(i), suffix=suffix),
        )
        for i in range(4)
    )
    with open_source(bags.write_ros2(tmp_path / "bag", entries)) as source:
        check_frames(source, 4, exact=suffix == ".png")


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "bgra8", "rgba8", "8UC3"])
@pytest.mark.parametrize("padding", [0, 7])
def test_encodings_and_row_padding(tmp_path, encoding, padding):
    code = {
        "bgr8": cv2.COLOR_RGB2BGR,
        "8UC3": cv2.COLOR_RGB2BGR,
        "bgra8": cv2.COLOR_RGB2BGRA,
        "rgba8": cv2.COLOR_RGB2RGBA,
    }
    convert = code.get(encoding)
    pixels = picture(3) if convert is None else cv2.cvtColor(picture(3), convert)
    message = bags.image(pixels, stamp_of(3), encoding=encoding, padding=padding)
    path = bags.write_ros2(tmp_path / "bag", [("/image", bags.IMAGE, stamp_of(3) + 1_000_000, message)])
    with open_source(path) as source:
        check_frames(source, 1, first=3)


def two_cameras_and_a_string():
    for index in range(4):
        stamp = stamp_of(index)
        yield "/left", bags.IMAGE, stamp + 1_000_000, bags.image(picture(index), stamp)
        yield "/right", bags.COMPRESSED, stamp + 1_000_000, bags.compressed(picture(index), stamp)
        yield "/chatter", "std_msgs/msg/String", stamp, bags.string("hello")


def test_choice_of_topics_lists_type_count_and_rate(tmp_path):
    path = bags.write_ros2(tmp_path / "bag", two_cameras_and_a_string())
    with pytest.raises(DcfmError) as caught:
        open_source(path)
    lines = str(caught.value).splitlines()
    assert [line.split() for line in (lines[1], *lines[3:])] == [
        ["name", "type", "count", "Hz"],
        ["/left", "sensor_msgs/msg/Image", "4", "10.00"],
        ["/right", "sensor_msgs/msg/CompressedImage", "4", "10.00"],
    ]
    for topic in ("/left", "/right"):
        with open_source(path, topic) as source:
            check_frames(source, 4)


def test_topic_that_is_not_there_or_no_image(tmp_path):
    path = bags.write_ros2(tmp_path / "bag", two_cameras_and_a_string())
    with pytest.raises(DcfmError, match=r"no topic '/front'(.|\n)*/left(.|\n)*/right"):
        open_source(path, "/front")
    with pytest.raises(
        DcfmError, match=r"'/chatter' of .* is std_msgs/msg/String; expected sensor_msgs/msg/Image"
    ):
        open_source(path, "/chatter")


def test_bag_without_images_says_what_it_has(tmp_path):
    entries = [("/chatter", "std_msgs/msg/String", stamp_of(0), bags.string("hello"))]
    with pytest.raises(DcfmError, match=r"no image topic with messages(.|\n)*/chatter +std_msgs/msg/String"):
        open_source(bags.write_ros2(tmp_path / "bag", entries))


def test_empty_bag(tmp_path):
    with pytest.raises(DcfmError, match="empty: it holds no messages"):
        open_source(bags.write_ros2(tmp_path / "bag", []))
    (tmp_path / "nothing.mcap").touch()
    with pytest.raises(DcfmError, match="empty file"):
        open_source(tmp_path / "nothing.mcap")


def cut_off(path, storage, keep):
    """A bag of 300 images of which a share of the bytes is left."""
    path = bags.write_ros2(path, bags.camera_entries(300), storage=storage)
    file = next(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    os.truncate(file, int(file.stat().st_size * keep))
    return path


@pytest.mark.parametrize(
    ("storage", "keep", "words"),
    [
        (StoragePlugin.MCAP, 0.0, "is damaged or cut off"),
        (StoragePlugin.MCAP, 0.01, "is empty: bag.mcap is cut off: its index and its last"),
        (StoragePlugin.MCAP, 0.3, "is empty: bag.mcap is cut off: its index and its last"),
        (StoragePlugin.SQLITE3, 0.0, "is damaged or cut off"),
        (StoragePlugin.SQLITE3, 0.01, "is damaged or cut off"),
        (StoragePlugin.SQLITE3, 0.5, "is damaged or cut off"),
    ],
)
def test_a_cut_off_bag_without_an_image_is_one_clear_message(tmp_path, storage, keep, words):
    path = cut_off(tmp_path / "bag", storage, keep)
    with pytest.raises(DcfmError, match=f"^The bag {path} {words}") as failure:
        open_source(path)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("storage", "keep", "words"),
    [
        (StoragePlugin.MCAP, 0.6, "bag.mcap is cut off: its index and its last"),
        (StoragePlugin.MCAP, 0.999, "bag.mcap is cut off: its index and its last"),
        (StoragePlugin.SQLITE3, 0.999, "reading stopped after {} of 300 images"),
    ],
)
def test_a_cut_off_bag_is_read_as_far_as_it_goes(tmp_path, storage, keep, words):
    with open_source(cut_off(tmp_path / "bag", storage, keep)) as source:
        count = sum(1 for _ in source)
    assert 300 * keep - 100 < count <= 300
    assert source.problem.startswith(words.format(count))


def test_a_cut_off_mcap_is_read_up_to_its_last_whole_chunk(tmp_path):
    """As a recorder leaves it whose power went: without its index, and perhaps without metadata.yaml."""
    # Larger than a chunk of the writer: each image is one.
    whole = bags.write_ros2(tmp_path / "whole", bags.camera_entries(8, size=(800, 600)))
    with open_source(whole) as source:
        frames = [(frame.stamp_ns, frame.rgb.tobytes()) for frame in source]
    (data,) = (file.read_bytes() for file in whole.glob("*.mcap"))
    read = []
    for keep in (len(data) - 1, len(data) - 20, len(data) * 9 // 10, len(data) // 2, len(data) // 4):
        for name in ("metadata.yaml", "nothing"):
            cut = tmp_path / f"{keep}_{name}"
            cut.mkdir()
            (cut / "whole.mcap").write_bytes(data[:keep])
            if (whole / name).exists():
                (cut / name).write_bytes((whole / name).read_bytes())
            with open_source(cut) as source:
                found = [(frame.stamp_ns, frame.rgb.tobytes()) for frame in source]
                assert found == frames[: len(found)] and source.length == len(found)
                assert "whole.mcap is cut off" in source.problem
            read.append(len(found))
    assert read == sorted(read, reverse=True) and read[0] == 8 and 0 < read[-1] < read[4] < 8


def test_of_a_split_bag_only_the_file_that_is_cut_off_ends_early(tmp_path):
    folder = bags.split_ros2(tmp_path / "split", [4, 4], size=(800, 600))
    *_, last = sorted(folder.glob("*.mcap"))
    os.truncate(last, last.stat().st_size * 6 // 10)
    with open_source(folder) as source:
        stamps = [frame.stamp_ns for frame in source]
    assert 4 < len(stamps) < 8 and stamps == [bags.stamp_of(index) for index in range(len(stamps))]
    assert source.problem.startswith(f"{last.name} is cut off")


def test_cut_off_ros1_bag(tmp_path):
    path = bags.write_ros1(tmp_path / "old.bag", bags.camera_entries(50, store=bags.STORE1))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DcfmError, match=r"damaged or cut off .*rosbag reindex"):
        open_source(path)


@given(
    noise=st.binary(min_size=1, max_size=200),
    suffix=st.sampled_from([".mcap", ".db3", ".bag", ".mp4", ".avi"]),
)
@example(noise=b"RIFF\0\0\0\0WEBP", suffix=".mp4")
@settings(max_examples=60, deadline=None)
def test_rubbish_is_one_message(tmp_path_factory, noise, suffix):
    path = tmp_path_factory.mktemp("rubbish") / f"file{suffix}"
    path.write_bytes(noise)
    with pytest.raises(
        DcfmError, match=r"damaged|cannot be read as a video|no readable video frame|is empty: .* cut off"
    ):
        open_source(path)


@pytest.mark.parametrize(
    "text", ["", "a: [", "rosbag2_bagfile_information: 3", "rosbag2_bagfile_information: {}"]
)
def test_bad_metadata(tmp_path, text):
    path = bags.write_ros2(tmp_path / "bag", bags.camera_entries(2))
    (path / "metadata.yaml").write_text(text)
    with pytest.raises(DcfmError, match=r"metadata\.yaml is not valid rosbag2 metadata .*ros2 bag reindex"):
        open_source(path)


def test_missing_storage_files_are_named(tmp_path):
    path = bags.split_ros2(tmp_path / "bag", [2, 2, 2])
    (path / "bag_1.mcap").unlink()
    with open_source(path) as source:
        assert len(list(source)) == 4
        assert source.problem == "listed in metadata.yaml but missing: bag_1.mcap"
    (path / "metadata.yaml").rename(tmp_path / "metadata.yaml")
    with open_source(path) as source:
        assert len(list(source)) == 4
        assert source.problem == "missing among its files: number 1"
    (tmp_path / "metadata.yaml").rename(path / "metadata.yaml")
    for file in path.glob("*.mcap"):
        file.unlink()
    with pytest.raises(DcfmError, match=r"lacks bag_0\.mcap, bag_1\.mcap, bag_2\.mcap"):
        open_source(path)


def test_files_that_are_listed_in_another_order_or_twice(tmp_path):
    path = bags.split_ros2(tmp_path / "bag", [2, 2, 2])
    about = path / "metadata.yaml"
    about.write_text(about.read_text().replace("- bag_0.mcap", "- bag_2.mcap\n  - bag_0.mcap"))
    (path / "._bag_0.mcap").write_bytes(b"\0\5\x16\7")  # as macOS leaves it
    with open_source(path) as source:
        assert [frame.stamp_ns for frame in source] == [bags.stamp_of(index) for index in range(6)]
        assert not source.problem


def test_bad_images_are_skipped_counted_and_reported(tmp_path):
    def entries():
        for index in range(6):
            stamp = stamp_of(index)
            message = bags.image(picture(index), stamp)
            if index == 2:
                message.encoding = "invented8"
            if index == 4:
                message.data = message.data[:-5]
            yield "/image", bags.IMAGE, stamp, message

    with open_source(bags.write_ros2(tmp_path / "bag", entries())) as source:
        stamps = [frame.stamp_ns for frame in source]
    assert stamps == [stamp_of(i) for i in (0, 1, 3, 5)]
    assert sorted(source.skipped.values()) == [1, 1]
    assert any("invented8" in reason for reason in source.skipped)


def test_one_stamp_of_zero_is_a_stamp(tmp_path):
    """As of a simulation whose time begins there."""
    stamps = [20_000_000 * i for i in range(4)]
    entries = [("/image", bags.IMAGE, stamp_of(i), bags.image(picture(i), s)) for i, s in enumerate(stamps)]
    path = bags.write_ros2(tmp_path / "bag", entries)
    assert [frame.stamp_ns for frame in open_source(path)] == stamps


def test_another_picture_with_the_same_stamp_is_no_repetition(tmp_path):
    entries = [
        ("/image", bags.IMAGE, stamp_of(i), bags.image(picture(i // 2), stamp_of(0))) for i in range(4)
    ]
    frames = list(open_source(bags.write_ros2(tmp_path / "bag", entries)))
    assert [b.repeats(a) for a, b in zip(frames, frames[1:], strict=False)] == [True, False, True]


def test_stamps_of_zero_become_log_times(tmp_path):
    entries = [("/image", bags.IMAGE, stamp_of(i), bags.image(picture(i), 0)) for i in range(3)]
    with open_source(bags.write_ros2(tmp_path / "bag", entries)) as source:
        assert [frame.stamp_ns for frame in source] == [stamp_of(i) for i in range(3)]


def test_changing_size_and_encoding_is_followed(tmp_path):
    def entries():
        for index, size in enumerate([(64, 48), (32, 24), (64, 48)]):
            message = bags.image(picture(index, size), stamp_of(index))
            yield "/image", bags.IMAGE, stamp_of(index), message

    with open_source(bags.write_ros2(tmp_path / "bag", entries())) as source:
        assert [frame.rgb.shape for frame in source] == [(48, 64, 3), (24, 32, 3), (48, 64, 3)]


def test_memory_stays_flat(tmp_path):
    """Reading ten times as many images takes no more memory."""
    import subprocess
    import sys

    code = (
        "import resource, sys\nfrom dcfm_ros.media.open_source import open_source\n"
        "n = sum(1 for _ in open_source(sys.argv[1]))\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = {}
    for count in (40, 400):
        path = bags.write_ros2(tmp_path / f"bag{count}", bags.camera_entries(count, size=(320, 240)))
        result = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stderr
        frames, peaks[count] = map(int, result.stdout.split())
        assert frames == count
    assert (tmp_path / "bag400").joinpath("bag400.mcap").stat().st_size > 90e6
    assert peaks[400] - peaks[40] < 12_000  # KiB; the recordings differ by 83 MB


def write_video(path, count, fourcc="mp4v", fps=25.0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), fps, (64, 48))
    for index in range(count):
        writer.write(cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.mark.parametrize("name,fourcc", [("clip.mp4", "mp4v"), ("clip.avi", "MJPG")])
def test_video(tmp_path, name, fourcc):
    with open_source(write_video(tmp_path / name, 10, fourcc)) as source:
        assert (source.kind, source.length, source.rate) == ("video", 10, 25.0)
        frames = list(source)
    assert [frame.stamp_ns for frame in frames] == [FIRST_STAMP_NS + i * 40_000_000 for i in range(10)]
    for index, frame in enumerate(frames):
        assert np.abs(frame.rgb.astype(int) - picture(index)).mean() < 8


def test_cut_off_video(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 30)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DcfmError, match=r"cannot be read as a video; it is damaged, cut off"):
        open_source(path)


def test_cut_off_avi_ends_early_and_says_so(tmp_path):
    path = write_video(tmp_path / "clip.avi", 60, "MJPG")
    os.truncate(path, path.stat().st_size // 2)
    with open_source(path) as source:
        count = sum(1 for _ in source)
    assert 10 < count < 50
    assert (
        source.problem
        == f"the video ends after {count} of the 60 frames it announces; the others are cut off, damaged or trimmed"
    )


def test_real_video(data_root):
    with open_source(data_root / "video" / "highway_960x540_25fps.mp4") as source:
        frames = [frame for frame, _ in zip(source, range(5), strict=False)]
    assert source.rate == 25.0 and source.length == 221
    assert frames[0].rgb.shape == (540, 960, 3)
    assert [frame.stamp_ns - frames[0].stamp_ns for frame in frames] == [i * 40_000_000 for i in range(5)]


def test_image_folder_in_natural_order_with_its_rate(tmp_path):
    for index in range(12):
        cv2.imwrite(str(tmp_path / f"frame{index}.png"), cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))
    (tmp_path / "frame5.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not an image")
    with open_source(tmp_path, rate=20) as source:
        assert (source.kind, source.length, source.rate) == ("images", 12, 20)
        frames = list(source)
    kept = [index for index in range(12) if index != 5]
    assert [frame.name for frame in frames] == [f"frame{index}" for index in kept]
    assert [frame.stamp_ns for frame in frames] == [FIRST_STAMP_NS + index * 50_000_000 for index in kept]
    assert all((frame.rgb == picture(index)).all() for index, frame in zip(kept, frames, strict=False))
    assert source.skipped == {"unreadable image file": 1}


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=20, unique=True))
def test_natural_order_is_that_of_the_numbers(numbers):
    from pathlib import Path

    names = [Path(f"image_{number}.png") for number in numbers]
    assert [int(name.stem[6:]) for name in sorted(names, key=natural_key)] == sorted(numbers)


def test_paths_that_are_nothing(tmp_path):
    with pytest.raises(DcfmError, match="does not exist"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(DcfmError, match=r"holds neither images .* nor a rosbag2"):
        open_source(tmp_path)
    with pytest.raises(DcfmError, match=r"no camera /dev/video987; cameras present"):
        open_source("/dev/video987")


def test_topic_of_a_video_is_refused(tmp_path):
    with pytest.raises(DcfmError, match="is a video and has no topics"):
        open_source(write_video(tmp_path / "clip.mp4", 3), "/image")


def test_bag_lists_all_its_topics(tmp_path):
    bag = Bag(bags.write_ros2(tmp_path / "bag", two_cameras_and_a_string()))
    assert [(topic.name, topic.type, topic.count) for topic in bag.topics] == [
        ("/chatter", "std_msgs/msg/String", 4),
        ("/left", "sensor_msgs/msg/Image", 4),
        ("/right", "sensor_msgs/msg/CompressedImage", 4),
    ]
    assert [message.data for _, _, message in bag.messages("/chatter")] == ["hello"] * 4


def test_temporary_files_of_compressed_bags_are_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    path = bags.write_ros2(tmp_path / "bag", bags.camera_entries(5), compression=CompressionMode.FILE)
    with open_source(path) as source:
        iterator = iter(source)
        next(iterator)
        iterator.close()
    assert not list((tmp_path / "tmp").iterdir())
    shutil.rmtree(tmp_path / "tmp")


def test_a_video_in_a_folder_or_of_a_name_with_colons(tmp_path, monkeypatch):
    write_video(tmp_path / "12:34:56.mp4", 10)
    monkeypatch.chdir(tmp_path)
    with open_source("12:34:56.mp4") as source:
        assert sum(1 for _ in source) == 10


@pytest.mark.parametrize("name", ["drive.MCAP", "drive.Mcap", "DRIVE.DB3"])
def test_suffixes_of_any_case(tmp_path, name):
    storage = StoragePlugin.SQLITE3 if name.endswith("DB3") else StoragePlugin.MCAP
    path = bags.write_ros2(tmp_path / "bag", bags.camera_entries(3), storage=storage)
    (file,) = (each for each in path.iterdir() if each.name != "metadata.yaml")
    file.rename(tmp_path / name)
    with open_source(tmp_path / name) as source:
        check_frames(source, 3)


def test_a_ros1_bag_in_capitals(tmp_path):
    path = bags.write_ros1(tmp_path / "old.bag", bags.camera_entries(3, store=bags.STORE1))
    path.rename(tmp_path / "OLD.BAG")
    with open_source(tmp_path / "OLD.BAG") as source:
        check_frames(source, 3)


@pytest.mark.parametrize(
    ("times", "rate", "differs"),
    [
        ([0, 100, 200, 300], 10, False),
        ([0, 33, 67, 100, 133], 30, False),
        ([0, 130, 230, 400], 1000, True),
        ([0, 100, 300], 10, True),
        ([0, 0, 0], 10, False),
        ([0], 10, False),
    ],
)
def test_whether_a_video_has_the_rate_it_announces(times, rate, differs):
    assert _differs(times, rate) is differs


def at_times(webm, times_ms):
    """Change the file so that its frames are shown at these times, at no constant rate."""
    data, at = bytearray(webm.read_bytes()), 0
    at = data.index(b"\x1f\x43\xb6\x75")  # the first cluster
    for time_ms in times_ms:
        at = data.index(b"\xa3", at + 1)  # a block: its size, its track, its time
        width = 9 - data[at + 1].bit_length()
        size = int.from_bytes(data[at + 1 : at + 1 + width], "big") & ((1 << 7 * width) - 1)
        at += 1 + width
        data[at + 1 : at + 3] = time_ms.to_bytes(2, "big")
        at += size - 1
    default = data.index(b"\x23\xe3\x83\x84")  # a frame's duration, which no longer holds
    data[default : default + 8] = b"\xec\x86" + bytes(6)
    webm.write_bytes(data)


def test_a_video_of_variable_rate(tmp_path):
    path = write_video(tmp_path / "clip.webm", 30, "VP80")
    times = [0]
    for index in range(29):
        times.append(times[-1] + (33, 200, 130, 170)[index % 4])
    at_times(path, times)
    with open_source(path) as source:
        stamps = [(frame.stamp_ns - FIRST_STAMP_NS) // 10**6 for frame in source]
        assert stamps == times and source.length == 30 and not source.problem
        assert source.rate == pytest.approx(29e3 / times[-1])


@pytest.mark.skipif(not hasattr(cv2, "CAP_PROP_PTS"), reason="needs OpenCV 4.11")
def test_a_video_that_begins_late(tmp_path):
    """As recorders of cameras cut their files: Matroska's duration counts from 0."""
    path = write_video(tmp_path / "clip.webm", 30, "VP80")
    at_times(path, [20_000 + 100 * index for index in range(30)])
    data = bytearray(path.read_bytes())
    duration = data.index(b"\x44\x89\x88") + 3
    data[duration : duration + 8] = struct.pack(">d", 23_000)
    path.write_bytes(data)
    with open_source(path) as source:
        assert len(list(source)) == source.length == 30 and not source.problem
