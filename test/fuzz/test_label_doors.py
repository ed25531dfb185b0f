"""Label files and label topics: known class ids come back, and whatever else arrives is a mask or a clear refusal."""

import cv2
import numpy as np
from doors import answer, door
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mutations import mutated
from picture_files import LOSSLESS, SHAPES, encoded, indexed, lying_pngs, png, real_files

from dcfm_lab.datasets.base import read_label
from dcfm_ros.media.label_image import class_ids
from dcfm_ros.media.labels import label_of
from dcfm_ros.media.messages import picture

COLOURS = tuple((n * 37 % 256, n * 91 % 256, n) for n in range(256))


def masks(classes=256):
    return SHAPES.flatmap(lambda shape: arrays.arrays(np.uint8, shape, elements=st.integers(0, classes - 1)))


@door(
    250,
    data=st.one_of(lying_pngs(), mutated(*real_files())),
    colours=st.sampled_from(((), COLOURS[:3], COLOURS)),
)
def test_label_files_of_any_bytes(data, colours):
    mask = answer(class_ids, data, "here", colours)
    assert mask is None or (mask.dtype == np.uint8 and mask.ndim == 2 and mask.size)


@door(80, data=st.data(), depth=st.sampled_from((1, 2, 4, 8)), kind=st.sampled_from((0, 3)))
def test_pngs_of_known_classes(tmp_path_factory, data, depth, kind):
    mask = data.draw(masks(2**depth))
    palette = bytes(np.array(COLOURS[: 2**depth], np.uint8)) if kind == 3 else b""
    height, width = mask.shape
    path = tmp_path_factory.mktemp("label") / "0.png"
    path.write_bytes(png(indexed(mask, depth), width, height, depth, kind, palette=palette))
    assert np.array_equal(read_label(path), mask)


@door(100, mask=masks(), kind=st.sampled_from(sorted(LOSSLESS)), known=st.integers(1, 256))
def test_files_in_the_colours_of_known_classes(mask, kind, known):
    bgr = np.array(COLOURS, np.uint8)[mask][..., ::-1]
    got = answer(class_ids, encoded(LOSSLESS[kind], bgr), "here", COLOURS[:known])
    assert (got is None) if kind != "png" or mask.max() >= known else np.array_equal(got, mask)


@door(100, mask=masks(), quality=st.integers(1, 100))
def test_what_changes_values_is_never_a_label(mask, quality):
    assert (
        answer(class_ids, encoded(".jpg", mask, cv2.IMWRITE_JPEG_QUALITY, quality), "here", COLOURS) is None
    )


SIDES = st.one_of(st.integers(0, 6), st.sampled_from((2**31, 2**32 - 1)))


@door(
    200,
    mask=masks(),
    changes=st.dictionaries(st.sampled_from(("height", "width", "step")), SIDES, max_size=3),
    encoding=st.sampled_from(("mono8", "8UC1", "rgb8", "\x1b")),
    cut=st.integers(0, 3),
)
def test_label_messages_of_any_fields(mask, changes, encoding, cut):
    message = picture(mask, 0, "")
    message.encoding = encoding
    for name, value in changes.items():
        setattr(message, name, value)
    message.data = message.data[: max(0, message.data.size - cut)]
    got = answer(label_of, message, "/label")
    assert got is None or got.shape == (message.height, message.width)
    if not changes and not cut and encoding in ("mono8", "8UC1"):
        assert np.array_equal(got, mask)
