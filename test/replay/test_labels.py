"""Ground truth beside frames: matched by name or by stamp, and refused with a reason where it does not fit."""

import bags
import cv2
import numpy as np
import pytest
from bags import stamp_of

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.labels import open_labels
from dcfm_ros.media.open_source import open_source


def label(index):
    return np.full((48, 64), index % 11, np.uint8)


def write_bag(path, *, label_delay=0, missing=(), encoding="mono8", padding=0, as_png=False):
    """Camera and label topic; labels may be logged later than their image and may be missing."""

    def entries():
        for index in range(30):
            stamp = stamp_of(index)
            yield stamp, ("/image", bags.IMAGE, stamp, bags.image(bags.picture(index), stamp))
            if index in missing:
                continue
            at = stamp + label_delay
            if as_png:
                yield at, ("/label", bags.COMPRESSED, at, bags.compressed(label(index), stamp))
            else:
                message = bags.image(label(index), stamp, encoding=encoding, padding=padding)
                yield at, ("/label", bags.IMAGE, at, message)

    return bags.write_ros2(path, [entry for _, entry in sorted(entries(), key=lambda pair: pair[0])])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_delay": 1},
        {"label_delay": 450_000_000},
        {"encoding": "8UC1"},
        {"padding": 5},
        {"as_png": True},
    ],
)
def test_label_topic_is_matched_by_stamp(tmp_path, options):
    path = write_bag(tmp_path / "bag", missing=(0, 7, 8, 29), **options)
    with open_source(path, "/image") as source:
        labels = open_labels(source, "/label")
        found = [labels.of(frame) for frame in source]
    for index, truth in enumerate(found):
        if index in (0, 7, 8, 29):
            assert truth is None
        else:
            assert truth.dtype == np.uint8 and (truth == label(index)).all()


def test_label_topic_that_does_not_fit(tmp_path):
    path = write_bag(tmp_path / "bag")
    with open_source(path, "/image") as source:
        with pytest.raises(
            DcfmError,
            match=r"no label topic '/truth'. Its image topics:\n  name .*\n  ─+\n  /image .*\n  /label ",
        ):
            open_labels(source, "/truth")
        labels = open_labels(source, "/image")
        with pytest.raises(DcfmError, match=r"has the encoding 'rgb8'; class ids are mono8 or 8UC1"):
            labels.of(next(iter(source)))


def folder(path, *, labels_named="label"):
    for name in ("image", labels_named):
        (path / name).mkdir(parents=True)
    for index in range(3):
        cv2.imwrite(str(path / "image" / f"{index:03d}.jpg"), bags.picture(index))
    for index in (0, 2):
        cv2.imwrite(str(path / labels_named / f"{index:03d}.png"), label(index))
    return path


@pytest.mark.parametrize("name", ["label", "labels"])
@pytest.mark.parametrize("inside", [False, True])
def test_labels_beside_a_folder_of_images_are_found(tmp_path, name, inside):
    path = folder(tmp_path / "drive", labels_named=name)
    with open_source(path / "image" if inside else path) as source:
        labels = open_labels(source, None)
        found = [labels.of(frame) for frame in source]
    assert [truth is None for truth in found] == [False, True, False]
    assert (found[2] == label(2)).all()


def test_real_labels(data_root):
    with open_source(data_root / "camvid" / "val" / "0016E5") as source:
        labels = open_labels(source, None)
        frames = list(zip(source, range(3), strict=False))
        for frame, _ in frames:
            truth = labels.of(frame)
            assert truth.shape == frame.rgb.shape[:2] == (360, 480)
            assert truth.max() <= 11


def test_no_labels(tmp_path):
    for index in range(2):
        cv2.imwrite(str(tmp_path / f"{index}.png"), bags.picture(index))
    with open_source(tmp_path) as source:
        labels = open_labels(source, None)
        assert [labels.of(frame) for frame in source] == [None, None]
        with pytest.raises(DcfmError, match="does not exist"):
            open_labels(source, str(tmp_path / "nowhere"))
        (tmp_path / "empty").mkdir()
        with pytest.raises(DcfmError, match="holds no PNG"):
            open_labels(source, str(tmp_path / "empty"))


def test_colour_images_are_no_labels(tmp_path):
    path = folder(tmp_path / "drive")
    cv2.imwrite(str(path / "label" / "000.png"), bags.picture(0))
    with open_source(path) as source:
        labels = open_labels(source, None)
        with pytest.raises(
            DcfmError,
            match=r"label image of .* is uint8 with shape \(48, 64, 3\); expected 8 bits, one channel",
        ):
            labels.of(next(iter(source)))


def test_names_and_files_as_other_systems_leave_them(tmp_path):
    """Hidden files beside, umlauts taken apart, a folder in place of a label, two labels of one name."""
    path = folder(tmp_path / "drive")
    for place in ("image", "label"):
        (path / place / "._000.png").write_bytes(b"\0\5\x16\7")
    (path / "image" / "002.jpg").rename(path / "image" / "\xfc.jpg")
    (path / "label" / "002.png").rename(path / "label" / "u\u0308.png")
    (path / "image" / "001.jpg").unlink()
    cv2.imwrite(str(path / "image" / "zz.png"), bags.picture(2))
    (path / "label" / "zz.png").mkdir()
    with open_source(path) as source:
        labels, frames = open_labels(source, None), list(source)
        by_name = {frame.name: frame for frame in frames}
        assert labels.of(by_name["000"])[0, 0] == 0 and labels.of(by_name["\xfc"])[0, 0] == 2
        with pytest.raises(DcfmError, match=r"A label image of .* cannot be read: Is a directory"):
            labels.of(by_name["zz"])
        assert len(frames) == 3 and not source.skipped
        assert not labels.unused()
        (path / "label" / "000.PNG").write_bytes(b"")
        with pytest.raises(DcfmError, match="holds 2 labels called '000'; keep one"):
            open_labels(source, None)


def bag_of(path, labels, images=range(12)):
    """Images at their stamps, and labels as (stamp, index, message or None for the usual) in this order."""
    entries = [("/image", bags.IMAGE, stamp_of(i), bags.image(bags.picture(i), stamp_of(i))) for i in images]
    for place, (stamp, index, message) in enumerate(labels):
        message = bags.image(label(index), stamp, encoding="mono8") if message is None else message
        entries.append(("/label", bags.IMAGE, stamp_of(place) + 1, message))
    return bags.write_ros2(path, sorted(entries, key=lambda entry: entry[2]))


def read_all(path, spec="/label", topic="/image"):
    """Index of each frame's label, None without, "bad" where it cannot be read; and the labels themselves."""
    found = []
    with open_source(path, topic) as source:
        labels = open_labels(source, spec)
        for frame in source:
            try:
                truth = labels.of(frame)
            except DcfmError:
                found.append("bad")
            else:
                found.append(None if truth is None else int(truth[0, 0]))
    return found, labels


def test_neighbours_that_changed_places(tmp_path):
    order = [1, 0, 3, 2, 4, 7, 6, 5, 8, 9, 11, 10]
    path = bag_of(tmp_path / "bag", [(stamp_of(i), i, None) for i in order])
    found, labels = read_all(path)
    assert found == [i % 11 for i in range(12)] and not labels.unused() and not labels.remark


def test_a_label_that_cannot_be_read_costs_no_other(tmp_path):
    bad = bags.image(np.zeros((4, 4), np.float32).view(np.uint8), stamp_of(3), encoding="32FC1")
    path = bag_of(tmp_path / "bag", [(stamp_of(i), i, bad if i == 3 else None) for i in range(10)])
    found, _ = read_all(path)
    assert found == [0, 1, 2, "bad", 4, 5, 6, 7, 8, 9, None, None]


@pytest.mark.parametrize("off", [100, -600, 40_000_000])
def test_stamps_that_are_a_little_off(tmp_path, off):
    path = bag_of(tmp_path / "bag", [(stamp_of(i) + off, i, None) for i in range(0, 12, 2)])
    found, labels = read_all(path)
    assert found == [i % 11 if i % 2 == 0 else None for i in range(12)]
    assert (
        labels.remark == f"6 labels used for the nearest frame: stamps are up to {abs(off) / 1e3:.3g} µs off"
    )


def test_labels_that_fit_no_frame_are_counted(tmp_path):
    path = bag_of(tmp_path / "bag", [(stamp_of(i + 100), i, None) for i in range(5)])
    found, labels = read_all(path)
    assert found == [None] * 12 and labels.unused() == {"stamped like no frame read (5 labels in all)": 5}


def test_one_wrong_stamp_among_labels_and_a_recording_that_repeats(tmp_path):
    stamps = [stamp_of(i) for i in range(12)]
    stamps[4], stamps[7] = 10**9, stamp_of(10**6)
    path = bag_of(tmp_path / "bag", [(stamp, i, None) for i, stamp in enumerate(stamps)])
    assert read_all(path)[0] == [None if i in (4, 7) else i % 11 for i in range(12)]


def test_labels_by_number_and_by_stamp(tmp_path):
    path = bag_of(tmp_path / "bag", [])
    folder = tmp_path / "labels"
    folder.mkdir()
    for name, index in (
        ("3", 3),
        ("0005", 5),
        (str(stamp_of(7)), 7),
        (str(stamp_of(8) + 300), 8),
        ("77", 9),
        ("x", 9),
    ):
        cv2.imwrite(str(folder / f"{name}.png"), label(index))
    found, labels = read_all(path, str(folder))
    assert found == [None, None, None, 3, None, 5, None, 7, 8, None, None, None]
    assert labels.unused() == {"named like no frame read (6 labels in all)": 2}
    assert labels.remark == "1 label used for the nearest frame: stamps are up to 0.3 µs off"


def test_a_label_topic_of_a_bag_with_a_colon_in_its_name(tmp_path):
    path = bag_of(tmp_path / "12:34:56", [(stamp_of(i), i, None) for i in range(12)])
    assert read_all(path, f"{path}:/label")[0] == [i % 11 for i in range(12)]


def test_labels_of_a_simulation_whose_time_begins_at_zero(tmp_path):
    def entries():
        for i in range(6):
            for topic, pixels in (("/image", bags.picture(i)), ("/label", label(i))):
                encoding = "rgb8" if topic == "/image" else "mono8"
                yield topic, bags.IMAGE, stamp_of(i), bags.image(pixels, 20_000_000 * i, encoding=encoding)

    with open_source(bags.write_ros2(tmp_path / "bag", entries()), topic="/image") as source:
        labels = open_labels(source, "/label")
        found = [labels.of(frame) for frame in source]
    assert [int(each[0, 0]) for each in found] == list(range(6))
