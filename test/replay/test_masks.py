"""Masks as PNG files: ids as values, the classes' colours to look at, names under which labels are found again."""

import bags
import cv2
import numpy as np
import pytest
from bags import stamp_of

from dcfm_ros import cli
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bags import Bag, stamp_ns
from dcfm_ros.media.label_image import class_ids
from dcfm_ros.media.mask_writer import MaskWriter
from dcfm_ros.model.classes import CAMVID, read_classes
from dcfm_ros.replay import sinks


@pytest.fixture(scope="module")
def weights(random_weights):
    return str(random_weights(1, input_size=(64, 48)))


def test_every_value_comes_back_and_is_shown_in_its_colour(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(8, 32)
    MaskWriter(tmp_path / "m", CAMVID.names, CAMVID.colors).write("a", mask)
    data = (tmp_path / "m" / "a.png").read_bytes()
    np.testing.assert_array_equal(class_ids(data, "here"), mask)
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert [tuple(seen[0, i]) for i in range(11)] == list(CAMVID.colors)
    see_through = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if see_through.ndim == 3 and see_through.shape[2] == 4:
        assert see_through[7, 31, 3] == 0 and see_through[0, 0, 3] == 255
    classes = read_classes(tmp_path / "m" / "classes.yaml")
    assert (classes.names, classes.colors) == (CAMVID.names, CAMVID.colors)


def test_frames_of_one_name_do_not_replace_each_other(tmp_path):
    writer = MaskWriter(tmp_path / "m", CAMVID.names, CAMVID.colors)
    for value in (1, 2):
        writer.write("a", np.full((2, 2), value, np.uint8))
    assert class_ids((tmp_path / "m" / "a.png").read_bytes(), "")[0, 0] == 1
    assert class_ids((tmp_path / "m" / "a_1.png").read_bytes(), "")[0, 0] == 2


def test_what_lies_in_the_folder_stays_without_force(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine.txt").write_text("mine")
    with pytest.raises(DcfmError, match="is not empty; add --force"):
        MaskWriter(tmp_path / "m", CAMVID.names, CAMVID.colors)
    MaskWriter(tmp_path / "m", CAMVID.names, CAMVID.colors, force=True)
    assert (tmp_path / "m" / "mine.txt").read_text() == "mine"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for file in (tmp_path / "m" / "mine.txt", tmp_path / "link"):
        with pytest.raises(DcfmError, match="is a file; give a folder"):
            MaskWriter(file, CAMVID.names, CAMVID.colors, force=True)
    for inside in (tmp_path / "m", tmp_path / "m" / "labels"):
        with pytest.raises(DcfmError, match="read by this command; choose another"):
            MaskWriter(inside, CAMVID.names, CAMVID.colors, force=True, read=[tmp_path / "m"])


def test_masks_of_a_bag_are_labels_of_that_bag(tmp_path, weights):
    """What was written is found again by stamp: against itself, every pixel is right."""
    path = str(bags.write_ros2(tmp_path / "in", bags.camera_entries(4)))
    masks, options = str(tmp_path / "masks"), ["--weights", weights, "--engine", "torch", "--no-video"]
    assert cli.main(["replay", path, "-o", str(tmp_path / "one"), "--masks", masks, *options]) == 0
    assert {p.stem for p in (tmp_path / "masks").glob("*.png")} == {str(stamp_of(i)) for i in range(4)}
    for _, _, message in Bag(tmp_path / "one" / "bag").messages(sinks.MASK):
        found = class_ids((tmp_path / "masks" / f"{stamp_ns(message)}.png").read_bytes(), "")
        np.testing.assert_array_equal(found.ravel(), np.asarray(message.data))
    assert cli.main(["replay", path, "-o", str(tmp_path / "two"), "--labels", masks, *options]) == 0
    assert '"pixel_accuracy": 1.0' in (tmp_path / "two" / "results.json").read_text()


def test_the_demos_own_bag_needs_no_topic(tmp_path, weights):
    entries = []
    for name in ("/dcfm_demo/image", "/dcfm_demo/segmentation/mask", "/dcfm_demo/label"):
        encoding = {} if name.endswith("image") else {"encoding": "mono8"}
        for i in range(2):
            picture = bags.picture(i) if not encoding else np.zeros((48, 64), np.uint8)
            entries.append((name, bags.IMAGE, stamp_of(i), bags.image(picture, stamp_of(i), **encoding)))
    path = str(bags.write_ros2(tmp_path / "in", entries))
    options = ["--weights", weights, "--engine", "torch", "--no-video", "--no-bag"]
    assert cli.main(["replay", path, "-o", str(tmp_path / "out"), *options]) == 0
