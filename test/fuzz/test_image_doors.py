"""Images from topics and files: known pixels come back, and whatever else arrives is a picture or a clear refusal."""

import cv2
import numpy as np
from doors import answer, door
from hypothesis import strategies as st
from mutations import mutated
from picture_files import LOSSLESS, encoded, lying_pngs, pixels, real_files

from dcfm_lab.datasets.base import read_image
from dcfm_ros.media.image_decode import ENCODINGS, decode_compressed, decode_image
from dcfm_ros.media.image_file import decode_file
from dcfm_ros.media.image_header import MAX_PIXELS, MAX_SIDE, BadImage, read_header

REAL = real_files()
ANY_PICTURE = st.one_of(mutated(*REAL), lying_pngs())
SIDES = st.one_of(st.integers(0, 9), st.sampled_from((MAX_SIDE, MAX_SIDE + 1, 2**31, 2**32 - 1)))
KNOWN_FORMATS = (
    *("", "jpeg", "png", "tiff", "rgb8; jpeg compressed bgr8", "mono16; png compressed "),
    *(f"bayer_{order}{bits}; png compressed " for order in ("rggb", "gbrg", "x") for bits in (8, 12, 16)),
    *("16UC1; compressedDepth png", "mono8; tiff compressed "),
)
FORMATS = st.one_of(st.sampled_from(KNOWN_FORMATS), st.text(max_size=20))


def is_picture(rgb):
    return rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size > 0


@door(
    300,
    encoding=st.one_of(st.sampled_from([*ENCODINGS, "RGB8", "Mono16"]), st.text(max_size=8)),
    height=SIDES,
    width=SIDES,
    step=st.one_of(st.none(), st.integers(0, 100), st.sampled_from((2**31, 2**32 - 1))),
    padding=st.integers(0, 5),
    rows=st.one_of(st.none(), st.integers(0, 20)),
    big=st.booleans(),
)
def test_images_of_any_fields(encoding, height, width, step, padding, rows, big):
    """Mostly of the length that they should have, so that all of the decoders are reached."""
    layout = ENCODINGS.get(encoding)
    if step is None:
        step = (width * layout.samples * layout.depth if layout else width) + padding
    if rows is None:
        rows = height + (height * layout.chroma_rows[0] // layout.chroma_rows[1] if layout else 0)
    data = bytes(min(step * rows, 100_000))
    rgb = answer(decode_image, encoding, height, width, step, big, data, error=BadImage)
    assert rgb is None or (is_picture(rgb) and rgb.shape[:2] == (height, width))


@door(
    100,
    rgb=pixels(3),
    padding=st.integers(0, 7),
    name=st.sampled_from(("rgb8", "bgr8", "rgb16", "bgra8")),
    big=st.booleans(),
)
def test_images_of_known_pixels(rgb, padding, name, big):
    colours = rgb[..., ::-1] if name.startswith("bgr") else rgb
    samples = np.dstack((colours, rgb[..., :1])) if name == "bgra8" else colours
    wide = (samples * np.uint16(256) + 255).astype(">u2" if big else "<u2") if name == "rgb16" else samples
    rows = np.ascontiguousarray(wide).view(np.uint8).reshape(len(rgb), -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=171)
    got = decode_image(name, *rgb.shape[:2], data.shape[1], big, data.tobytes())
    assert np.array_equal(got, rgb)


@door(300, data=ANY_PICTURE, form=FORMATS)
def test_compressed_images_of_any_bytes(data, form):
    rgb = answer(decode_compressed, form, data, error=BadImage)
    assert rgb is None or is_picture(rgb)


@door(300, data=ANY_PICTURE, flags=st.sampled_from((cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED)))
def test_image_files_of_any_bytes(data, flags):
    picture = answer(decode_file, data, flags, "it", error=BadImage)
    header = answer(read_header, memoryview(data), "it", error=BadImage)
    assert header is None or header.width * header.height <= MAX_PIXELS
    assert picture is None or {header.width, header.height} == set(picture.shape[:2])


@door(100, rgb=pixels(3), kind=st.sampled_from([*LOSSLESS, "webp"]))
def test_image_files_of_known_pixels(rgb, kind, tmp_path_factory):
    bgr = rgb[..., ::-1]
    lossless = (cv2.IMWRITE_WEBP_QUALITY, 101)
    data = encoded(".webp", bgr, *lossless) if kind == "webp" else encoded(LOSSLESS[kind], bgr)
    path = tmp_path_factory.mktemp("known") / "0.png"
    path.write_bytes(data)
    assert np.array_equal(read_image(path), rgb)
    if kind in ("png", "tiff"):
        assert np.array_equal(decode_compressed(f"bgr8; {kind} compressed bgr8", data), rgb)


def test_every_kind_of_file_under_every_format():
    for data in REAL:
        for form in KNOWN_FORMATS:
            rgb = answer(decode_compressed, form, data, error=BadImage)
            assert rgb is None or is_picture(rgb)
