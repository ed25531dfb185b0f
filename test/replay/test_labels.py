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
            DcfmError, match=r"no label topic '/truth'. Its image topics:\n  /image .*\n  /label "
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
