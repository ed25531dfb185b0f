"""The fields of a sensor_msgs Image or CompressedImage to one RGB picture, without ROS, with few copies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np

from dcfm_ros.media.image_file import ON_TOPICS, decode_known, header_of
from dcfm_ros.media.image_header import BadImage, check_size


class UnknownEncoding(BadImage):
    """An encoding this module does not decode."""


def to_rgb(message: Any) -> np.ndarray:
    """The picture of an Image or CompressedImage message, from ROS or from a bag, as uint8 H×W×3 RGB.

    For rgb8 it is a view of the message's data.
    Raises UnknownEncoding, BadImage: as `decode_image` and `decode_compressed` do.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.format, message.data)
    return decode_image(
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )


def decode_image(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Any
) -> np.ndarray:
    """The picture in the fields of a sensor_msgs/Image.

    encoding: a name of `sensor_msgs/image_encodings.hpp` (see ENCODINGS), or `nv12`. `8UC3` and `8UC4` are
        taken as OpenCV's BGR and BGRA. Samples of 16 bits keep their high byte.
    height, width: pixels.
    step: bytes from one row to the next; more than a row's pixels need is padding. For the encodings with two
        planes (nv12, nv21, nv24) it is the step of the luma plane.
    is_bigendian: byte order of 16-bit samples.
    data: any buffer (array.array, bytes, memoryview, numpy) of exactly step × rows bytes.
    Returns uint8 H×W×3 RGB. For rgb8, padded or not, it is a view of `data`: valid as long as `data` is not
    written to, and read-only where `data` is.
    Raises UnknownEncoding: the encoding is not in ENCODINGS; BadImage: a size of zero or above MAX_SIDE, a step
    smaller than a row, an odd size where samples come in pairs, or data of the wrong length; the message names
    encoding, expectation and what came.
    """
    layout = ENCODINGS.get(encoding.lower() if encoding not in ENCODINGS else encoding)
    if layout is None:
        raise UnknownEncoding(f"unknown image encoding {encoding!r}; known: {', '.join(ENCODINGS)}")
    check_size(f"{encoding} image", width, height)
    row = width * layout.samples * layout.depth
    if step < row:
        raise BadImage(
            f"{encoding} image of {width}×{height} has step {step}; a row needs at least {row} bytes"
        )
    if width % layout.width_multiple or height % layout.height_multiple:
        raise BadImage(
            f"{encoding} image of {width}×{height}: width must be a multiple of {layout.width_multiple} "
            f"and height of {layout.height_multiple}"
        )
    rows = height + height * layout.chroma_rows[0] // layout.chroma_rows[1]
    buffer = _bytes_of(data)
    if buffer.size != step * rows:
        raise BadImage(
            f"{encoding} image of {width}×{height} has {buffer.size} bytes; "
            f"expected step × rows = {step} × {rows} = {step * rows}"
        )
    if layout.depth == 2:
        # A view of each sample's high byte: first of the pair in big-endian order, second in little-endian.
        buffer = buffer[0 if is_bigendian else 1 :]
    samples = np.ndarray(
        (rows, width, layout.samples) if layout.chroma_rows[0] == 0 else (rows, step),
        np.uint8,
        buffer.data,
        strides=(step, layout.samples * layout.depth, layout.depth)
        if layout.chroma_rows[0] == 0
        else (step, 1),
    )
    return layout.to_rgb(samples, width, height)


def decode_compressed(format: str, data: Any) -> np.ndarray:
    """The picture in the fields of a sensor_msgs/CompressedImage: the JPEG, PNG and TIFF of image_transport.

    The picture is as the sensor saw it: an orientation in its EXIF data is not applied, since camera_info
    and everything downstream count pixels without it.

    format: the message's format string. image_transport's publishers write "ENCODING; KIND compressed TARGET",
    others only the kind, which is looked up in the data instead. Of a Bayer encoding the data hold the mosaic.
    data: any buffer with the compressed file.
    Returns uint8 H×W×3 RGB, a new array.
    Raises BadImage: a depth image, and whatever `decode_file` refuses: other kinds, sizes beyond the limits,
    truncated or damaged files.
    """
    encoding = format.partition(";")[0].strip().lower()
    what = f"compressed image of format {format!r}"
    if "compresseddepth" in format.lower():
        raise BadImage(f"{what} is a depth image; expected a colour or grey picture")
    header = header_of(data, what, ON_TOPICS)
    if encoding.startswith("bayer_") and header.channels == 1:
        mosaic = decode_known(data, cv2.IMREAD_UNCHANGED, what, header)
        if mosaic.ndim == 2:  # else it has a palette: a colour picture
            return _demosaiced(encoding, mosaic)
    bgr = decode_known(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, what, header)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)


def _demosaiced(encoding: str, mosaic: np.ndarray) -> np.ndarray:
    """The picture of a mosaic of uint8 or uint16 H×W, whatever depth the encoding had before it was compressed."""
    pattern = encoding.rstrip("0123456789")
    depth = 8 * mosaic.dtype.itemsize
    if f"{pattern}{depth}" not in ENCODINGS:
        raise UnknownEncoding(f"unknown image encoding {encoding!r}; known: {', '.join(ENCODINGS)}")
    height, width = mosaic.shape
    big = sys.byteorder == "big"
    return decode_image(f"{pattern}{depth}", height, width, mosaic.strides[0], big, mosaic)


def _bytes_of(data: Any) -> np.ndarray:
    """A flat uint8 view of any buffer."""
    return np.frombuffer(data, np.uint8) if memoryview(data).nbytes else np.empty(0, np.uint8)


Decoder = Callable[[np.ndarray, int, int], np.ndarray]


class _Layout(NamedTuple):
    """How an encoding lies in memory, and what makes RGB of it.

    `to_rgb(samples, width, height)` gets rows × width × samples, or rows × step if there is a chroma plane.
    """

    samples: int  # per pixel, in the (first) plane
    to_rgb: Decoder
    depth: int = 1  # bytes per sample
    width_multiple: int = 1
    height_multiple: int = 1
    chroma_rows: tuple[int, int] = (0, 1)  # rows of the chroma plane, as a fraction of the height


def _same(samples: np.ndarray, width: int, height: int) -> np.ndarray:
    if samples.strides[1:] == (3, 1):
        return samples
    return np.ascontiguousarray(samples)  # 16-bit samples: leave the low bytes behind


def _first_three(samples: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.ascontiguousarray(samples[:, :, :3])


def _converted(code: int) -> Decoder:
    """OpenCV's colour conversion `code`; row padding needs no copy there, other gaps do."""

    def convert(samples: np.ndarray, width: int, height: int) -> np.ndarray:
        if samples.shape[2:] == (1,):
            samples = samples[:, :, 0]
        return cv2.cvtColor(samples, code)

    return convert


def _two_planes(code: int) -> Decoder:
    def convert(samples: np.ndarray, width: int, height: int) -> np.ndarray:
        return cv2.cvtColorTwoPlane(
            samples[:height, :width], samples[height:, :width].reshape(height // 2, width // 2, 2), code
        )

    return convert


# BT.601, luma 16-235, as in OpenCV's other YUV conversions: rows R, G, B of (Y, U, V, 1).
_YUV_TO_RGB = np.array(
    [[1.164, 0.0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0.0]], np.float64
)  # fmt: skip
_YUV_OFFSET = -_YUV_TO_RGB @ np.array([16.0, 128.0, 128.0])


def _nv24(samples: np.ndarray, width: int, height: int) -> np.ndarray:
    # A row of the interleaved chroma plane is two luma rows long: the plane lies in 2 × height of them.
    step = samples.shape[1]
    chroma = samples[height:].reshape(height, 2 * step)[:, : 2 * width].reshape(height, width, 2)
    yuv = np.dstack((samples[:height, :width], chroma))
    return cv2.transform(yuv, np.column_stack((_YUV_TO_RGB, _YUV_OFFSET)))


_GREY = _converted(cv2.COLOR_GRAY2RGB)
_BGR = _converted(cv2.COLOR_BGR2RGB)
_BGRA = _converted(cv2.COLOR_BGRA2RGB)
# ROS names a Bayer pattern by its first two rows; OpenCV by the second row's second and third pixel.
_BAYER = {
    "rggb": _converted(cv2.COLOR_BayerBG2RGB),
    "bggr": _converted(cv2.COLOR_BayerRG2RGB),
    "gbrg": _converted(cv2.COLOR_BayerGR2RGB),
    "grbg": _converted(cv2.COLOR_BayerGB2RGB),
}
_UYVY = _Layout(2, _converted(cv2.COLOR_YUV2RGB_UYVY), width_multiple=2)
_YUYV = _Layout(2, _converted(cv2.COLOR_YUV2RGB_YUY2), width_multiple=2)

ENCODINGS: dict[str, _Layout] = {
    "rgb8": _Layout(3, _same),
    "bgr8": _Layout(3, _BGR),
    "rgba8": _Layout(4, _converted(cv2.COLOR_RGBA2RGB)),
    "bgra8": _Layout(4, _BGRA),
    "mono8": _Layout(1, _GREY),
    "8UC1": _Layout(1, _GREY),
    "8UC3": _Layout(3, _BGR),
    "8UC4": _Layout(4, _BGRA),
    "rgb16": _Layout(3, _same, depth=2),
    "bgr16": _Layout(3, _BGR, depth=2),
    "rgba16": _Layout(4, _first_three, depth=2),
    "bgra16": _Layout(4, _BGRA, depth=2),
    "mono16": _Layout(1, _GREY, depth=2),
    "16UC1": _Layout(1, _GREY, depth=2),
    **{f"bayer_{pattern}8": _Layout(1, decode) for pattern, decode in _BAYER.items()},
    **{f"bayer_{pattern}16": _Layout(1, decode, depth=2) for pattern, decode in _BAYER.items()},
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _Layout(1, _two_planes(cv2.COLOR_YUV2RGB_NV12), 1, 2, 2, (1, 2)),
    "nv21": _Layout(1, _two_planes(cv2.COLOR_YUV2RGB_NV21), 1, 2, 2, (1, 2)),
    "nv24": _Layout(1, _nv24, chroma_rows=(2, 1)),
}
