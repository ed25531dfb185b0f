"""Every layout of a data set, on a small tree of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import trees

from dcfm_lab.datasets import DATASETS, open_dataset
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.messages import IMAGE, picture
from dcfm_ros.media.source import natural_key
from dcfm_ros.model.classes import CAMVID, CITYSCAPES, VSPW


def unique(label: np.ndarray) -> list[int]:
    return np.unique(label).tolist()


# -- CamVid, 11 classes ----------------------------------------------------------------------------------------


def test_camvid(tmp_path):
    dataset = open_dataset("camvid", trees.camvid(tmp_path), "train")
    assert dataset.classes is CAMVID and len(dataset) == 3
    frame = dataset[1]
    assert frame.image.shape == (16, 24, 3) and frame.name == "0001TP/0001TP_000060"
    assert trees.brightness(frame.image) == 60
    # 11 is void.
    assert unique(frame.label) == [*range(11), 255]
    assert dataset.offsets(1) == [-30, 30] and dataset.offsets(0) == [30, 60]
    assert trees.brightness(dataset.neighbour(1, -30)) == 30
    assert dataset.neighbour(1, 7) is None and dataset.sequence(2) == "0001TP"


def test_camvid_s_sequences_are_taken_and_left_out_by_name(tmp_path):
    trees.camvid(tmp_path)
    shutil.copytree(tmp_path / "train" / "0001TP", tmp_path / "train" / "0006R0")

    def sequences(**options):
        dataset = open_dataset("camvid", tmp_path, "train", **options)
        return [dataset.sequence(index) for index in range(len(dataset))]

    assert sequences() == 3 * ["0001TP"] + 3 * ["0006R0"]
    assert sequences(sequences=["0006R0"]) == sequences(without=["0001TP"]) == 3 * ["0006R0"]
    with pytest.raises(DcfmError, match="'without': '.*train' has no sequence '0002'; known: 0001TP, 0006R0"):
        sequences(without=["0002"])
    with pytest.raises(DcfmError, match=r"'sequences' must be a list of sequences, as in \[0001TP\]"):
        sequences(sequences="0001TP")
    with pytest.raises(DcfmError, match="no image in"):
        sequences(sequences=["0001TP"], without=["0001TP"])


def test_camvid_as_it_lies_there(data_root):
    sizes = {
        split: len(open_dataset("camvid", data_root / "camvid", split)) for split in ("train", "val", "test")
    }
    assert sizes == {"train": 367, "val": 101, "test": 233}
    val = open_dataset("camvid", data_root / "camvid", "val")
    assert val[0].image.shape == (360, 480, 3) and val.offsets(0)[:2] == [2, 4]


# -- CamVid, all of it -----------------------------------------------------------------------------------------


def test_camvid_full(tmp_path):
    dataset = open_dataset("camvid_full", trees.camvid_full(tmp_path), "train")
    assert len(dataset) == 2
    label = dataset[0].label
    assert (label[0, 0], label[0, 8], label[0, 16]) == (3, 8, 255)
    assert dataset.offsets(0) == [-2, -1, 1, 30]
    assert trees.brightness(dataset.neighbour(0, 1)) == 31


def test_camvid_full_of_a_sequence_whose_numbers_are_shifted(tmp_path):
    dataset = open_dataset("camvid_full", trees.camvid_full(tmp_path), "train", shift={"0016E5": 1})
    # The still 30 is frame 31 of the folder: it stands in for it.
    assert dataset.offsets(0) == [-3, -2, 30] and trees.brightness(dataset[0].image) == 30
    assert trees.brightness(dataset.neighbour(0, -2)) == 29


# -- Cityscapes ------------------------------------------------------------------------------------------------


def test_cityscapes(tmp_path):
    dataset = open_dataset("cityscapes", trees.cityscapes(tmp_path), "train")
    assert dataset.classes is CITYSCAPES and len(dataset) == 1
    assert unique(dataset[0].label) == [0, 1, 2, 18, 255]
    assert dataset.offsets(0) == [*range(-19, 0), *range(1, 11)]
    assert trees.brightness(dataset.neighbour(0, -4)) == 15


def test_cityscapes_without_snippets_has_no_neighbours(tmp_path):
    dataset = open_dataset("cityscapes", trees.cityscapes(tmp_path, snippets=False), "train")
    assert dataset.offsets(0) == [] and trees.brightness(dataset[0].image) == 19


# -- VSPW ------------------------------------------------------------------------------------------------------


def test_vspw(tmp_path):
    dataset = open_dataset("vspw", trees.vspw(tmp_path), "train")
    assert dataset.classes is VSPW and len(VSPW.names) == 124 and len(dataset) == 5
    assert unique(dataset[0].label) == [0, 1, 123, 255]
    assert [dataset.sequence(i) for i in range(5)] == ["1001_a"] * 3 + ["1002_b"] * 2
    # No neighbour is of another video.
    assert dataset.offsets(3) == [1] and dataset.offsets(1) == [-1, 1]
    assert trees.brightness(dataset.neighbour(1, 1)) == 52


# -- recordings ------------------------------------------------------------------------------------------------


def own_folder(root, images, labels, value=1):
    """A recording that is a folder of images of these names, each as bright as its place, and labels."""
    (root / "train" / "a.labels").mkdir(parents=True)
    (root / "classes.yaml").write_text("floor: [1, 2, 3]\nwall: [4, 5, 6]\n")
    for place, name in enumerate(images):
        trees.write(root / "train" / "a" / f"{name}.png", trees.plain(place))
    for name in labels:
        trees.write(root / "train" / "a.labels" / f"{name}.png", np.full((16, 24), value, np.uint8))
    return open_dataset("recordings", root, "train")


@pytest.mark.parametrize(
    ("images", "labels", "places"),
    [
        (("0", "2", "3", "4", "5"), ("0", "2", "4"), [0, 1, 3]),
        (("0", "b_0", "b_1"), ("0",), [0]),
        (("a_0", "a_1", "a_2"), ("000001", "2"), [1, 2]),
        (("x", "y", "①"), ("0", "2"), [0, 2]),
    ],
)
def test_names_decide_which_image_a_label_belongs_to(tmp_path, images, labels, places):
    dataset = own_folder(tmp_path, images, labels)
    order = sorted(images, key=lambda name: natural_key(Path(name)))
    found = [trees.brightness(dataset[i].image) for i in range(len(dataset))]
    assert [order[place] for place in places] == [images[bright] for bright in found]


@pytest.mark.parametrize(
    ("images", "labels", "value", "message"),
    [
        (
            ("0", "1"),
            ("0",),
            7,
            "0.png' holds the value 7, which is no class; expected class ids from 0 to 1",
        ),
        (("0", "1"), ("0",), 255, "no pixel of 1 label has a class"),
        (("0", "1"), ("0", "5"), 0, "5.png' labels no frame"),
        (("0", "1"), ("1", "001"), 0, "label the same frame"),
    ],
)
def test_labels_that_teach_nothing_end_a_training_before_it_begins(tmp_path, images, labels, value, message):
    with pytest.raises(DcfmError, match=message):
        own_folder(tmp_path, images, labels, value)


def test_a_folder_of_images(tmp_path):
    dataset = open_dataset("recordings", trees.recordings(tmp_path), "train", cache=str(tmp_path / "cache"))
    assert dataset.classes.names == ("floor", "wall") and dataset.classes.colors[1] == (40, 50, 60)
    assert len(dataset) == 2 and unique(dataset[0].label) == [0, 1, 255]
    assert trees.brightness(dataset[1].image) == 70
    assert dataset.offsets(1) == [*range(-7, 0), 1]
    assert trees.brightness(dataset.neighbour(0, 3)) == 50


def test_a_video(tmp_path):
    root = trees.recordings(tmp_path)
    shutil.rmtree(root / "train" / "yard")
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    video = cv2.VideoWriter(str(root / "train" / "yard.avi"), codec, 15.0, trees.SIZE)
    for number in range(40):
        video.write(trees.plain(5 * number))
    video.release()
    dataset = open_dataset("recordings", root, "train", reach=3, cache=str(tmp_path / "cache"))
    assert trees.brightness(dataset[0].image) == pytest.approx(10, abs=1) and dataset.fps == 15
    # Three frames around each label, which overlap here; the rest of the video is not kept.
    assert dataset.offsets(0) == [-2, -1, *range(1, 9)]
    assert trees.brightness(dataset.neighbour(1, 3)) == pytest.approx(50, abs=1)
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 11


def write_bag(path: Path) -> Path:
    """Twenty images, plain and brighter by ten each, whose stamps are not the times they were recorded at."""
    with BagWriter(path) as bag:
        for number in range(20):
            stamp = stamp_of(number)
            bag.write(
                "/camera/image", IMAGE, stamp + 1_234, picture(trees.plain(10 * number), stamp, "camera")
            )
    return path


def stamp_of(number: int) -> int:
    return 1_700_000_000_000_000_000 + 100_000_000 * number


def test_a_bag(tmp_path):
    root = trees.recordings(tmp_path)
    shutil.rmtree(root / "train" / "yard")
    shutil.rmtree(root / "train" / "yard.labels")
    write_bag(root / "train" / "yard")
    # A label's number is the stamp of its image.
    trees.write(root / "train" / "yard.labels" / f"{stamp_of(12)}.png", trees.stripes([0, 1]))
    cache = tmp_path / "cache"
    dataset = open_dataset("recordings", root, "train", reach=4, cache=str(cache))
    assert len(dataset) == 1 and dataset.offsets(0) == [-4, -3, -2, -1, 1, 2, 3, 4]
    assert np.array_equal(dataset[0].image, trees.plain(120)) and dataset.fps == pytest.approx(10, rel=0.06)
    assert np.array_equal(dataset.neighbour(0, -4), trees.plain(80))
    # The second time the bag is not read again.
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")}
    again = open_dataset("recordings", root, "train", reach=4, cache=str(cache))
    assert np.array_equal(again[0].image, dataset[0].image)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")} == before


def test_a_label_whose_stamp_was_rounded(tmp_path, caplog):
    root = trees.recordings(tmp_path)
    shutil.rmtree(root / "train" / "yard")
    write_bag(root / "train" / "yard")
    for number, off in ((2, 400), (7, -600)):
        label = root / "train" / "yard.labels" / f"{number}.png"
        label.rename(label.with_name(f"{stamp_of(number) + off}.png"))
    dataset = open_dataset("recordings", root, "train", cache=str(tmp_path / "cache"))
    assert [trees.brightness(dataset[index].image) for index in range(2)] == [20, 70]
    (told,) = caplog.messages
    assert "2 labels of " in told and "used for the nearest image: their stamps are up to 0.6 µs off" in told


def test_a_label_whose_stamp_is_not_in_the_bag(tmp_path):
    root = trees.recordings(tmp_path)
    shutil.rmtree(root / "train" / "yard")
    write_bag(root / "train" / "yard")
    with pytest.raises(DcfmError, match=r"2\.png' labels no frame.*no image with this stamp"):
        open_dataset("recordings", root, "train", cache=str(tmp_path / "cache"))


# -- the synthetic drive ---------------------------------------------------------------------------------------


def test_synthetic(tmp_path):
    options = {"drives": 2, "length": 6, "every": 2, "width": 64, "height": 48}
    dataset = open_dataset("synthetic", tmp_path, "train", **options)
    assert len(dataset) == 6 and dataset.offsets(1) == [-2, 2]
    frame = dataset[4]
    assert frame.image.shape == (48, 64, 3) and set(unique(frame.label)) <= {*range(11), 255}
    assert dataset.sequence(4) == dataset.sequence(3) != dataset.sequence(2)
    assert np.array_equal(dataset.neighbour(3, 2), frame.image) and dataset.neighbour(3, 1) is None
    # Rendered once, then read.
    (path,) = tmp_path.rglob("*_0002-*/frame.npz")
    with np.load(path) as kept:
        assert np.array_equal(kept["image"], frame.image) and np.array_equal(kept["label"], frame.label)
    stamp = path.stat().st_mtime_ns
    assert np.array_equal(open_dataset("synthetic", tmp_path, "train", **options)[4].image, frame.image)
    assert path.stat().st_mtime_ns == stamp
    other = open_dataset("synthetic", tmp_path, "val", **options)[4]
    assert not np.array_equal(other.image, frame.image)


# -- what is wrong is said -------------------------------------------------------------------------------------

LABEL_FOLDERS = {"label", "LabeledApproved_full", "mask", "yard.labels"}
TREES = {
    "camvid": trees.camvid,
    "camvid_full": trees.camvid_full,
    "cityscapes": trees.cityscapes,
    "recordings": trees.recordings,
    "vspw": trees.vspw,
}


def test_every_dataset_is_tested():
    assert set(TREES) | {"synthetic", "unlabelled"} == set(DATASETS)


@pytest.mark.parametrize("name", TREES)
def test_a_wrong_path_says_what_was_expected_there(tmp_path, name):
    with pytest.raises(DcfmError, match=r"nowhere.*does not exist; expected .*(SPLIT|{train)"):
        open_dataset(name, tmp_path / "nowhere", "train")


@pytest.mark.parametrize("name", TREES)
def test_a_split_that_is_not_there(tmp_path, name):
    TREES[name](tmp_path)
    with pytest.raises(DcfmError, match=r"test(\.txt)?'.* expected "):
        open_dataset(name, tmp_path, "test")


@pytest.mark.parametrize("name", TREES)
def test_a_missing_label_is_named(tmp_path, name):
    TREES[name](tmp_path)
    labels = [
        path
        for path in tmp_path.rglob("*.png")
        if set(path.parent.parts[-2:]) & LABEL_FOLDERS or "gtFine" in path.name
    ]
    labels.sort()
    with pytest.raises(DcfmError, match=f"{labels[0].name}.*(missing|expected)"):
        dataset = open_dataset(name, tmp_path, "train")
        labels[0].unlink()
        dataset[0]


@pytest.mark.parametrize("name", TREES)
def test_a_damaged_image_is_named(tmp_path, name):
    TREES[name](tmp_path)
    dataset = open_dataset(
        name, tmp_path, "train", **({"cache": str(tmp_path)} if name == "recordings" else {})
    )
    video, number = dataset.places[0]
    video.frames[number].write_bytes(b"no image")
    with pytest.raises(DcfmError, match=f"{video.frames[number].name}' cannot be read as an image"):
        dataset[0]


def test_a_missing_frame_of_a_cityscapes_label(tmp_path):
    trees.cityscapes(tmp_path)
    (tmp_path / "leftImg8bit_sequence/train/ulm/ulm_000003_000019_leftImg8bit.png").unlink()
    with pytest.raises(
        DcfmError, match="ulm_000003_000019_leftImg8bit.png' is missing; expected Cityscapes as"
    ):
        open_dataset("cityscapes", tmp_path, "train")


def test_a_label_of_another_size_is_named(tmp_path):
    trees.camvid(tmp_path)
    trees.write(tmp_path / "train/0001TP/label/0001TP_000030.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(DcfmError, match="'0001TP/0001TP_000030' is 24×16, its label 8×8"):
        open_dataset("camvid", tmp_path, "train")[0]


def test_a_label_in_colours_is_refused(tmp_path):
    trees.camvid(tmp_path)
    trees.write(tmp_path / "train/0001TP/label/0001TP_000030.png", trees.plain(3))
    with pytest.raises(
        DcfmError, match="0001TP_000030.png' is uint8 with shape .*expected 8 bits, one channel"
    ):
        open_dataset("camvid", tmp_path, "train")[0]


def test_a_file_without_a_number_is_named(tmp_path):
    trees.camvid(tmp_path)
    trees.write(tmp_path / "train/0001TP/image/first.jpg", trees.plain(3))
    with pytest.raises(DcfmError, match=r"first\.jpg' does not end in a frame number"):
        open_dataset("camvid", tmp_path, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold a line like .*: it is empty"),
        ("floor: [1, 2]", r"must hold .*: colors.0 is \[1, 2\]; expected a list of 3"),
        ("floor: [1, 2, 256]", "must hold .*: colors.0.2 is 256; expected a whole number from 0 to 255"),
        ("[1", "is not valid YAML"),
    ],
)
def test_damaged_classes(tmp_path, text, message):
    trees.recordings(tmp_path)
    (tmp_path / "classes.yaml").write_text(text)
    with pytest.raises(DcfmError, match=rf"classes\.yaml' {message}"):
        open_dataset("recordings", tmp_path, "train")


def test_labels_of_nothing_and_of_two_things(tmp_path):
    trees.recordings(tmp_path)
    shutil.move(tmp_path / "train/yard", tmp_path / "train/other")
    with pytest.raises(DcfmError, match=r"yard\.labels' labels nothing; expected one recording"):
        open_dataset("recordings", tmp_path, "train")
    for name in ("yard", "yard.avi"):
        (tmp_path / "train" / name).mkdir()
    with pytest.raises(DcfmError, match=r"labels 'yard' and 'yard.avi'; expected one recording"):
        open_dataset("recordings", tmp_path, "train")


def test_unlabelled_frames_and_their_neighbours(tmp_path):
    folder = trees.frames(tmp_path / "yard")
    dataset = open_dataset("unlabelled", folder, every=4)
    assert [dataset.name(index) for index in range(len(dataset))] == ["000000", "000004", "000008"]
    assert dataset.offsets(1) == [-4, -3, -2, -1, 1, 2, 3, 4] and dataset.classes == CAMVID
    frame, neighbour = dataset[1], dataset.neighbour(1, 3)
    assert np.all(frame.label == 255) and frame.label.shape == frame.image.shape[:2]
    assert trees.brightness(neighbour) - trees.brightness(frame.image) == 30
    assert dataset.neighbour(2, 1) is None
    small = open_dataset("unlabelled", folder, every=4, size=[12, 6], classes="cityscapes")
    assert small[0].image.shape == small.neighbour(0, 1).shape == (6, 12, 3) and small.classes == CITYSCAPES
    with pytest.raises(
        DcfmError, match="nowhere' does not exist; expected a video, a folder of images or a rosbag"
    ):
        open_dataset("unlabelled", tmp_path / "nowhere")
    with pytest.raises(DcfmError, match="unknown classes 'kitti'; known: "):
        open_dataset("unlabelled", folder, classes="kitti")
    with pytest.raises(DcfmError, match="'every' is 0; it must be 1 or more"):
        open_dataset("unlabelled", folder, every=0)


def test_unlabelled_video_is_copied_once(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for number in range(7):
        writer.write(np.full((48, 64, 3), 30 * number, np.uint8))
    writer.release()
    cache = tmp_path / "cache"
    dataset = open_dataset("unlabelled", tmp_path / "v.avi", every=3, cache=str(cache))
    assert len(dataset) == 3 and dataset.fps == 10 and dataset.offsets(1) == [-3, -2, -1, 1, 2, 3]
    assert trees.brightness(dataset.neighbour(1, 2)) == pytest.approx(150, abs=2)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")}
    assert len(before) == 7
    open_dataset("unlabelled", tmp_path / "v.avi", every=2, cache=str(cache))
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")} == before


def test_unknown_names_and_options(tmp_path):
    with pytest.raises(DcfmError, match="unknown dataset 'kitti'; known: camvid, camvid_full"):
        open_dataset("kitti", tmp_path)
    with pytest.raises(DcfmError, match="dataset 'vspw' has no option 'drives'; known: none"):
        open_dataset("vspw", tmp_path, drives=3)
    with pytest.raises(DcfmError, match="no split 'all'; known: train, val, test"):
        open_dataset("synthetic", tmp_path, "all")
    with pytest.raises(DcfmError, match="drives, length and every must be 1 or more, got 0, 40, 1"):
        open_dataset("synthetic", tmp_path, "train", drives=0)


def test_camvid_labels_with_values_that_are_no_class_are_refused(tmp_path):
    """Left out without a word, they would make a smaller share of the pixels count."""
    root = trees.camvid(tmp_path)
    dataset = open_dataset("camvid", root, "train")
    void, path = trees.stripes([0, 10, 11, 255]), dataset.places[0][0].labels[30]
    trees.write(path, void)
    assert np.unique(dataset[0].label).tolist() == [0, 10, 255]
    trees.write(path, trees.stripes([0, 10, 200, 255]))
    with pytest.raises(
        DcfmError, match=r"holds the value 200, which is no class; expected 0 to 10, or 11 or 255"
    ):
        dataset[0]


def test_a_sequence_that_yaml_takes_for_a_number_is_told_how_to_be_written(tmp_path):
    root = trees.camvid(tmp_path)
    with pytest.raises(DcfmError, match=r"no sequence '1600000.0'.*in quotes"):
        open_dataset("camvid", root, "train", without=[16e5])
