"""Each encoding gives back a known picture; every malformed image is refused with its reason."""

from __future__ import annotations

import array
import struct
from zlib import compress, crc32

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.media.image_decode import (
    ENCODINGS,
    UnknownEncoding,
    decode_compressed,
    decode_image,
)
from dcfm_ros.media.image_header import MAX_SIDE, BadImage

WIDTH, HEIGHT = 24, 16


def picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Smooth, saturated and different in each channel and direction: any swapped channel or row shows."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return np.rint(np.dstack((40 + 190 * x, 220 - 180 * y, 60 + 80 * x * y))).astype(np.uint8)


def grey(rgb: np.ndarray) -> np.ndarray:
    return rgb[:, :, 0]


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """The Bayer pattern as ROS names it: first row's two colours, second row's two colours."""
    out = np.empty(rgb.shape[:2], np.uint8)
    for index, colour in enumerate(pattern):
        row, column = divmod(index, 2)
        out[row::2, column::2] = rgb[row::2, column::2, "rgb".index(colour)]
    return out


def yuv(rgb: np.ndarray) -> np.ndarray:
    """BT.601 luma 16-235 and chroma 16-240, float H×W×3."""
    matrix = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    return rgb / 255.0 @ matrix.T + (16, 128, 128)


def packed_422(rgb: np.ndarray, order: str) -> np.ndarray:
    y, u, v = np.moveaxis(np.rint(yuv(rgb)), 2, 0)
    planes = {"y0": y[:, ::2], "y1": y[:, 1::2], "u": u[:, ::2], "v": v[:, ::2]}
    return np.stack([planes[name] for name in order.split()], 2).astype(np.uint8).reshape(rgb.shape[0], -1)


def planar(rgb: np.ndarray, order: str, every: int) -> np.ndarray:
    """Luma rows, then the rows of interleaved chroma sampled at `every` pixels."""
    width = rgb.shape[1]
    values = np.rint(yuv(rgb)).astype(np.uint8)
    chroma = values[::every, ::every, 1:]
    if order == "vu":
        chroma = chroma[:, :, ::-1]
    return np.vstack((values[:, :, 0], chroma.reshape(-1, width)))


def wide(samples: np.ndarray, big: bool) -> np.ndarray:
    """The bytes of 16-bit samples whose high byte is `samples`, with a busy low byte."""
    low = (samples.astype(np.uint16) * 37 + 11) % 256
    value = samples.astype(np.uint16) * 256 + low
    flat = value.astype(">u2" if big else "<u2").reshape(samples.shape[0], -1)
    return flat.view(np.uint8)


def flat(samples: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(samples).reshape(samples.shape[0], -1)


def encode(rgb: np.ndarray, encoding: str, *, big: bool = False) -> np.ndarray:
    """Rows of bytes of the picture in an encoding, without padding."""
    alpha = np.full((*rgb.shape[:2], 1), 7, np.uint8)
    samples = {
        "rgb": rgb,
        "bgr": rgb[:, :, ::-1],
        "rgba": np.dstack((rgb, alpha)),
        "bgra": np.dstack((rgb[:, :, ::-1], alpha)),
        "mono": grey(rgb),
    }
    if encoding.startswith("bayer_"):
        pattern = mosaic(rgb, encoding[6:10])
        return flat(pattern) if encoding.endswith("8") else wide(pattern, big)
    if encoding in ("yuv422", "uyvy"):
        return packed_422(rgb, "u y0 v y1")
    if encoding in ("yuv422_yuy2", "yuyv"):
        return packed_422(rgb, "y0 u y1 v")
    if encoding in ("nv12", "nv21"):
        return planar(rgb, "uv" if encoding == "nv12" else "vu", 2)
    if encoding == "nv24":
        return planar(rgb, "uv", 1)
    name = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8", "16UC1": "mono16"}.get(encoding, encoding)
    if name.endswith("16"):
        return wide(samples[name[:-2]], big)
    return flat(samples[name[:-1]])


def expected(rgb: np.ndarray, encoding: str) -> np.ndarray:
    if encoding in ("mono8", "mono16", "8UC1", "16UC1"):
        return np.repeat(grey(rgb)[:, :, None], 3, 2)
    return rgb


def tolerance(encoding: str) -> int:
    """Grey levels lost to subsampled chroma and interpolation, in the inside of a smooth picture."""
    if encoding.startswith(("yu", "uyvy", "nv")):
        return 14 if encoding in ("nv12", "nv21") else 8
    return 9 if encoding.startswith("bayer") else 0


def padded(rows: np.ndarray, padding: int) -> np.ndarray:
    return np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)


def decode(rows: np.ndarray, encoding: str, *, big: bool = False, padding: int = 0, size=(WIDTH, HEIGHT)):
    if encoding == "nv24" and padding:
        # The chroma plane's rows are two steps long, so the padding lies at the end of every second one.
        width, height = size
        chroma = padded(rows[height:].reshape(height, 2 * width), 2 * padding).reshape(
            2 * height, width + padding
        )
        rows = np.vstack((padded(rows[:height], padding), chroma))
    else:
        rows = padded(rows, padding)
    return decode_image(encoding, size[1], size[0], rows.shape[1], big, array.array("B", rows.tobytes()))


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_picture_back(encoding: str, padding: int) -> None:
    rgb = picture()
    got = decode(encode(rgb, encoding), encoding, padding=padding)
    assert got.dtype == np.uint8 and got.shape == (HEIGHT, WIDTH, 3)
    difference = np.abs(got.astype(int) - expected(rgb, encoding))
    inside = difference[2:-2, 2:-2] if encoding.startswith("bayer") else difference
    assert inside.max() <= tolerance(encoding)


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name.endswith("16") or name == "16UC1"])
@pytest.mark.parametrize("big", [False, True])
def test_16_bit_samples_in_both_byte_orders(encoding: str, big: bool) -> None:
    rgb = picture()
    got = decode(encode(rgb, encoding, big=big), encoding, big=big, padding=4)
    difference = np.abs(got.astype(int) - expected(rgb, encoding))[2:-2, 2:-2]
    assert difference.max() <= tolerance(encoding)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_of_a_flat_colour_is_that_colour(pattern: str) -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), (200, 90, 30), np.uint8)
    got = decode(encode(rgb, f"bayer_{pattern}8"), f"bayer_{pattern}8")
    np.testing.assert_array_equal(got, rgb)


@given(
    encoding=st.sampled_from(["rgb8", "bgr8", "rgba8", "mono8", "mono16", "8UC3", "bgra16"]),
    width=st.integers(1, 40),
    height=st.integers(1, 30),
    padding=st.integers(0, 17),
    big=st.booleans(),
)
def test_any_size_and_padding(encoding: str, width: int, height: int, padding: int, big: bool) -> None:
    rgb = np.random.default_rng(width * 100 + height).integers(0, 256, (height, width, 3), np.uint8)
    got = decode(encode(rgb, encoding, big=big), encoding, big=big, padding=padding, size=(width, height))
    np.testing.assert_array_equal(got, expected(rgb, encoding))


@pytest.mark.parametrize("padding", [0, 10])
def test_rgb8_is_a_view_of_the_message(padding: int) -> None:
    rows = padded(encode(picture(), "rgb8"), padding)
    data = array.array("B", rows.tobytes())
    got = decode_image("rgb8", HEIGHT, WIDTH, rows.shape[1], False, data)
    data[0] = 99
    assert got[0, 0, 0] == 99
    assert np.shares_memory(got, np.frombuffer(data, np.uint8))


def test_data_may_be_bytes_memoryview_or_numpy() -> None:
    rows = encode(picture(), "bgr8")
    for data in (rows.tobytes(), memoryview(rows.tobytes()), rows.reshape(-1), bytearray(rows.tobytes())):
        np.testing.assert_array_equal(
            decode_image("bgr8", HEIGHT, WIDTH, rows.shape[1], False, data), picture()
        )


def test_unknown_encoding_names_it_and_the_known_ones() -> None:
    with pytest.raises(UnknownEncoding, match="'jpeg2000'.*known: rgb8, bgr8"):
        decode_image("jpeg2000", 2, 2, 2, False, bytes(4))


@pytest.mark.parametrize("delta", [-1, 1, -WIDTH * 3 * HEIGHT])
def test_wrong_data_length_names_expected_and_got(delta: int) -> None:
    length = WIDTH * 3 * HEIGHT + delta
    with pytest.raises(BadImage, match=f"bgr8 image of 24×16 has {length} bytes.*= 1152"):
        decode_image("bgr8", HEIGHT, WIDTH, WIDTH * 3, False, bytes(length))


@pytest.mark.parametrize(
    "size", [(0, 16), (24, 0), (0, 0), (MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (2**32 - 1, 2**32 - 1)]
)
def test_zero_and_absurd_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(BadImage, match=f"rgb8 image has size {size[0]}×{size[1]}; expected 1 to {MAX_SIDE}"):
        decode_image("rgb8", size[1], size[0], 72, False, bytes(72))


def test_step_smaller_than_a_row() -> None:
    with pytest.raises(BadImage, match="step 71; a row needs at least 72"):
        decode_image("rgb8", HEIGHT, WIDTH, 71, False, bytes(71 * HEIGHT))


@pytest.mark.parametrize(
    ("encoding", "width", "height"), [("uyvy", 23, 16), ("yuyv", 23, 16), ("nv12", 23, 16), ("nv21", 24, 15)]
)
def test_odd_sizes_where_samples_come_in_pairs(encoding: str, width: int, height: int) -> None:
    with pytest.raises(BadImage, match="multiple of 2"):
        decode_image(encoding, height, width, 2 * width, False, bytes(10))


@given(
    encoding=st.sampled_from([*ENCODINGS, "", "RGB8", "x"]),
    height=st.integers(0, 40),
    width=st.integers(0, 40),
    step=st.integers(0, 200),
    big=st.booleans(),
    length=st.integers(0, 4000),
)
def test_any_fields_give_a_picture_or_bad_image(encoding, height, width, step, big, length) -> None:
    try:
        got = decode_image(encoding, height, width, step, big, bytes(length))
    except BadImage as error:
        assert str(error)
    else:
        assert got.shape == (height, width, 3) and got.dtype == np.uint8


@pytest.mark.parametrize("extension", [".png", ".jpg", ".tiff"])
def test_compressed_gives_rgb(extension: str) -> None:
    rgb = picture(64, 48)
    data = cv2.imencode(extension, rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1]
    got = decode_compressed(f"bgr8; {extension[1:]} compressed bgr8", array.array("B", data.tobytes()))
    assert np.abs(got.astype(int) - rgb).max() <= (8 if extension == ".jpg" else 0)


def test_compressed_grey_becomes_three_channels() -> None:
    data = cv2.imencode(".png", grey(picture()))[1]
    np.testing.assert_array_equal(
        decode_compressed("mono8; png compressed", data), expected(picture(), "mono8")
    )


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize(
    ("format", "extension", "depth"),
    [
        ("bayer_{}8; png compressed ", ".png", 8),
        ("bayer_{}16; png compressed ", ".png", 16),
        ("bayer_{}8; tiff compressed ", ".tiff", 8),
        ("bayer_{}8; jpeg compressed ", ".jpg", 8),
        ("bayer_{}16; jpeg compressed ", ".jpg", 8),  # JPEG holds 8 bits, whatever the encoding was
        ("bayer_{}8;jpeg", ".jpg", 8),
        ("BAYER_{}8; JPEG compressed", ".jpg", 8),
    ],
)
def test_compressed_bayer_is_demosaiced(pattern: str, format: str, extension: str, depth: int) -> None:
    raw = encode(picture(64, 48), f"bayer_{pattern}8")
    stored = raw.astype(np.uint16) << 8 if depth == 16 else raw
    data = cv2.imencode(extension, stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    want = decode_image(f"bayer_{pattern}8", 48, 64, 64, False, raw)
    got = decode_compressed(format.format(pattern), data)
    assert np.abs(got.astype(int) - want).max() <= (6 if extension == ".jpg" else 0)


def test_a_bayer_encoding_of_a_colour_picture_is_demosaiced_already() -> None:
    data = cv2.imencode(".png", picture()[:, :, ::-1])[1]
    np.testing.assert_array_equal(decode_compressed("bayer_rggb8; png compressed bgr8", data), picture())


def test_a_bayer_encoding_of_a_palette_is_demosaiced_already() -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0))
    rows = chunk(b"IDAT", compress(b"\0\1\0"))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"PLTE", bytes(range(6))) + rows + chunk(b"IEND", b"")
    assert decode_compressed("bayer_rggb8; png compressed ", data).tolist() == [[[3, 4, 5], [0, 1, 2]]]


def test_an_unknown_bayer_pattern_is_refused() -> None:
    with pytest.raises(UnknownEncoding, match="bayer_xyzw8"):
        decode_compressed("bayer_xyzw8; png compressed ", cv2.imencode(".png", grey(picture()))[1])


def test_compressed_ignores_exif_orientation() -> None:
    jpeg = cv2.imencode(".jpg", picture(64, 48))[1].tobytes()
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)  # orientation: rotate by 90 degrees
    exif = b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    rotated = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(rotated, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (64, 48)
    assert decode_compressed("jpeg", rotated).shape[:2] == (48, 64)


@pytest.mark.parametrize(
    ("format", "data", "reason"),
    [
        ("jpeg", b"", "no data"),
        ("jpeg", b"not a picture", "does not decode"),
        ("16UC1; compressedDepth png", b"x", "depth image"),
        ("jpeg", cv2.imencode(".jpg", picture(64, 48))[1].tobytes()[:-200], "truncated JPEG"),
        ("png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x00\x00\x00\x01\x00\x00", "65536×65536"),
        ("jpeg", b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\xff\xd9", "65535×65535"),
    ],
)
def test_bad_compressed_images(format: str, data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode_compressed(format, data)


@settings(deadline=None, max_examples=50)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n"])
)
def test_any_bytes_give_a_picture_or_bad_image(data: bytes, head: bytes) -> None:
    try:
        decode_compressed("jpeg", head + data)
    except BadImage as error:
        assert str(error)
