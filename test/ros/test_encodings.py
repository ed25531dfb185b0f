"""Every encoding, through DDS and back: with opacity 0 and no legend the overlay is the picture as the node read it."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from ros_graph import Graph, image, pixels_of, raw_image, stamp_of
from sensor_msgs.msg import Image

WIDTH, HEIGHT = 160, 96
YUV_TOLERANCE = 3  # of 255: rounding there and back
PADDING = 24


def known_image():
    """uint8 H×W×3 RGB: flat squares of 16 pixels, whose insides survive subsampled colour and Bayer patterns."""
    colors = np.random.default_rng(7).integers(20, 236, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    return colors.repeat(16, axis=0).repeat(16, axis=1)


RGB = known_image()
GREY = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
INSIDE = np.zeros((16, 16), bool)
INSIDE[4:12, 4:12] = True
INSIDE = np.tile(INSIDE, (HEIGHT // 16, WIDTH // 16))


def with_alpha(rgb):
    return np.dstack((rgb, np.full(rgb.shape[:2], 99, np.uint8)))


def wide(samples, order):
    """16-bit samples whose high byte is the picture, as bytes in a row; their low byte is noise."""
    noise = np.random.default_rng(1).integers(0, 256, samples.shape, dtype=np.uint16)
    big = (samples.astype(np.uint16) << 8 | noise).astype(f"{order}u2")
    return big.view(np.uint8).reshape(samples.shape[0], -1)


def bayer(pattern):
    """The raw picture of a sensor whose first two rows have these colours."""
    raw = np.empty((HEIGHT, WIDTH), np.uint8)
    for i, color in enumerate(pattern):
        raw[i // 2 :: 2, i % 2 :: 2] = RGB[i // 2 :: 2, i % 2 :: 2, "rgb".index(color)]
    return raw


def yuv():
    """Y, U, V of every pixel: BT.601, luma 16-235, as cameras send it."""
    matrix = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
    planes = RGB @ matrix.T + [16, 128, 128]
    return np.moveaxis(np.round(planes).astype(np.uint8), 2, 0)


def packed(order):
    """4:2:2, one pair of U and V for two neighbours, in the byte order given."""
    y, u, v = yuv()
    samples = {"y": y[:, 0::2], "Y": y[:, 1::2], "u": u[:, 0::2], "v": v[:, 0::2]}
    return np.stack([samples[name] for name in order], axis=2).reshape(HEIGHT, 2 * WIDTH)


def two_planes(order):
    """4:2:0, the luma above the interleaved chroma of half its size; as rows of luma's length."""
    y, u, v = yuv()
    chroma = {"u": u[0::2, 0::2], "v": v[0::2, 0::2]}
    return np.vstack((y, np.stack([chroma[name] for name in order], axis=2).reshape(HEIGHT // 2, WIDTH)))


EXACT = {
    "rgb8": RGB,
    "bgr8": RGB[..., ::-1],
    "rgba8": with_alpha(RGB),
    "bgra8": with_alpha(RGB[..., ::-1]),
    "8UC3": RGB[..., ::-1],
    "8UC4": with_alpha(RGB[..., ::-1]),
}
EXACT_GREY = {"mono8": GREY, "8UC1": GREY}
CLOSE = {
    **{f"bayer_{pattern}8": bayer(pattern) for pattern in ("rggb", "bggr", "gbrg", "grbg")},
    "yuv422": packed("uyvY"),
    "uyvy": packed("uyvY"),
    "yuv422_yuy2": packed("yuYv"),
    "yuyv": packed("yuYv"),
    "nv12": two_planes("uv"),
    "nv21": two_planes("vu"),
}


@pytest.fixture(scope="module")
def looking_glass(ros, weights):
    """A function that sends an Image through the node and returns the picture that the node has read."""
    with Graph(weights) as graph:
        node = graph.node(overlay_alpha=0.0, overlay_legend=False)
        camera, pictures = graph.probe.camera(), graph.probe.listen(Image, "segmentation/overlay")
        graph.probe.matched(camera)
        graph.ready(node, pictures)

        def look(message):
            stamp = stamp_of(len(pictures.messages))
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            camera.publish(message)
            return pixels_of(pictures.wait_for(stamp))

        yield look


def message_of(encoding, pixels, padding=0):
    """The message of rows of bytes; planes below the picture do not count as its rows."""
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return raw_image(encoding, HEIGHT, WIDTH, rows.shape[1], rows.tobytes())


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("encoding", EXACT)
def test_colours_arrive_exactly(looking_glass, encoding, padding):
    np.testing.assert_array_equal(looking_glass(message_of(encoding, EXACT[encoding], padding)), RGB)


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("encoding", EXACT_GREY)
def test_grey_arrives_in_all_channels(looking_glass, encoding, padding):
    seen = looking_glass(message_of(encoding, EXACT_GREY[encoding], padding))
    np.testing.assert_array_equal(seen, np.dstack([GREY] * 3))


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("order", ["<", ">"])
def test_mono16_of_either_byte_order_keeps_its_high_byte(looking_glass, order, padding):
    message = message_of("mono16", wide(GREY, order), padding)
    message.is_bigendian = order == ">"
    np.testing.assert_array_equal(looking_glass(message), np.dstack([GREY] * 3))


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("encoding", CLOSE)
def test_bayer_and_yuv_arrive_as_far_as_they_can(looking_glass, encoding, padding):
    seen = looking_glass(message_of(encoding, CLOSE[encoding], padding)).astype(int)
    difference = np.abs(seen - RGB)[INSIDE]
    assert difference.max() <= YUV_TOLERANCE


def test_other_encodings_are_left_to_cv_bridge(looking_glass, monkeypatch):
    asked = []

    class Bridge:
        def imgmsg_to_cv2(self, message, desired_encoding):
            asked.append((message.encoding, desired_encoding))
            return RGB

    monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=Bridge))
    np.testing.assert_array_equal(looking_glass(message_of("my_camera_9", GREY)), RGB)
    assert asked == [("my_camera_9", "rgb8")]


def test_a_picture_without_padding_is_not_copied():
    from dcfm_ros.node.convert import message_to_rgb

    message = image(RGB)
    assert np.shares_memory(message_to_rgb(message), np.frombuffer(message.data, np.uint8))
